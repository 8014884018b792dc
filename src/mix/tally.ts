import { addCounts, zeroChannels, type Channel } from '../text/channel.js';
import type { PreparedSample, StageTokens } from './prepare.js';
import type { Sequence, SourceReport } from './sequence.js';
import { sampleKey } from './sequence.js';
import { OVERFLOW_RULES, type OverflowRule } from './windows.js';

/** Why a row that was read is not in the mix. */
export type DropReason =
  | 'empty'
  | 'template_error'
  | 'too_long'
  | 'exact_duplicate'
  | 'near_duplicate'
  | 'degenerate'
  | 'replacement_characters'
  | 'secret'
  | 'contaminated'
  | 'language'
  | 'not_drawn';

/** What became of every row of every source, and of every token on the way. */
export interface Tally {
  row(source: string, revision: string | null, license: string | null): void;
  drop(source: string, reason: DropReason): void;
  prepared(sample: PreparedSample): void;
  /** Reports with kept rows and tokens counted in `chosen`; rows neither dropped nor chosen are `not_drawn`. */
  sources(chosen: readonly Sequence[]): SourceReport[];
  readonly stages: StageTokens;
  readonly overflow: Readonly<Record<OverflowRule, number>>;
  /** Tokens before windows, of every prepared sample. */
  readonly lengths: readonly number[];
}

interface SourceTally {
  revision: string | null;
  license: string | null;
  read: number;
  readonly dropped: Map<DropReason, number>;
}

/** @param wanted rows asked of each source, in the order of the recipe */
export function createTally(wanted: ReadonlyMap<string, number | 'all' | null>): Tally {
  const sources = new Map<string, SourceTally>();
  const of = (name: string): SourceTally => {
    const known = sources.get(name) ?? { revision: null, license: null, read: 0, dropped: new Map() };
    sources.set(name, known);
    return known;
  };
  for (const name of wanted.keys()) of(name);
  const stages = { raw: zeroChannels(), rendered: zeroChannels(), kept: zeroChannels() };
  const overflow: Record<OverflowRule, number> = { window: 0, truncate: 0, drop: 0 };
  const lengths: number[] = [];
  return {
    stages,
    overflow,
    lengths,
    row(source, revision, license) {
      const tally = of(source);
      tally.read++;
      tally.revision ??= revision;
      tally.license ??= license;
    },
    drop(source, reason) {
      const { dropped } = of(source);
      dropped.set(reason, (dropped.get(reason) ?? 0) + 1);
    },
    prepared(sample) {
      for (const stage of ['raw', 'rendered', 'kept'] as const) addCounts(stages[stage], sample.tokens[stage]);
      for (const rule of OVERFLOW_RULES) overflow[rule] += sample.overflowCost[rule];
      lengths.push(sample.length);
    },
    sources: (chosen) =>
      [...sources].map(([source, tally]) => report(source, tally, wanted.get(source) ?? null, chosen)),
  };
}

function report(
  source: string,
  tally: SourceTally,
  wanted: number | 'all' | null,
  chosen: readonly Sequence[],
): SourceReport {
  const own = chosen.filter((sequence) => sequence.source === source);
  const kept = new Set(own.map(sampleKey)).size;
  const dropped = [...tally.dropped].sort(([a], [b]) => (a < b ? -1 : 1));
  const undrawn = tally.read - kept - dropped.reduce((sum, [, count]) => sum + count, 0);
  return {
    source,
    revision: tally.revision,
    license: tally.license,
    wanted,
    read: tally.read,
    kept,
    tokens: own.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
    dropped: Object.fromEntries([...dropped, ...(undrawn > 0 ? [['not_drawn', undrawn] as const] : [])]),
  };
}

/** Tokens per channel over sequences. */
export type ChannelTokens = Readonly<Record<Channel, number>>;
