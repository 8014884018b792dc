import { CHANNELS, type Channel, type Sequence, sampleKey } from '../mix/sequence.js';
import type { GroupCoverage } from './coverage.js';

/** The sequences, sorted into groups by one of their properties. */
export interface Grouping {
  /** Rising by code unit. */
  readonly names: readonly string[];
  /** Index into `names` of every sequence. */
  readonly of: Int32Array;
}

export function groupBy(sequences: readonly Sequence[], key: (sequence: Sequence) => string): Grouping {
  const keys = sequences.map(key);
  const names = [...new Set(keys)].sort();
  const index = new Map(names.map((name, i) => [name, i]));
  return { names, of: Int32Array.from(keys, (name) => index.get(name)!) };
}

/** What is known of every group before any routing: samples, sequences, tokens, channels. */
export function tallyGroups(
  sequences: readonly Sequence[],
  { names, of }: Grouping,
): Omit<GroupCoverage, 'routed' | 'cellSamples' | 'gateMass'>[] {
  const samples = names.map(() => new Set<string>());
  const tallies = names.map(() => ({ sequences: 0, tokens: 0, channels: new Float64Array(CHANNELS.length) }));
  sequences.forEach((sequence, i) => {
    const tally = tallies[of[i]!]!;
    samples[of[i]!]!.add(sampleKey(sequence));
    tally.sequences++;
    tally.tokens += sequence.inputIds.length;
    for (const channel of sequence.channels) tally.channels[channel]! += 1;
  });
  return tallies.map(({ channels, ...tally }, g) => ({
    samples: samples[g]!.size,
    ...tally,
    channels: channelRecord(channels),
  }));
}

function channelRecord(tokens: Float64Array): Partial<Record<Channel, number>> {
  return Object.fromEntries(CHANNELS.map((channel, c) => [channel, tokens[c]!] as const).filter(([, n]) => n > 0));
}
