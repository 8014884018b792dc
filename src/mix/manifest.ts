import type { JsonObject } from '../data/sample.js';
import { CHANNELS, zeroChannels, type Channel } from '../text/channel.js';
import { NO_CLEANING, type CleanOptions } from './clean.js';
import type { PrepareOptions, StageTokens } from './prepare.js';
import type { QuotaReport, Quotas } from './select.js';
import { sampleKey, type MixManifest, type Sequence } from './sequence.js';
import type { StructureCounts, Tally } from './tally.js';
import type { OverflowRule } from './windows.js';

/** What a build adds to the manifest: enough to rebuild the mix, and to judge it without rebuilding. */
export interface BuildManifest extends MixManifest {
  readonly settings: {
    readonly tokens: number | null;
    readonly sequenceLength: number;
    readonly overflow: OverflowRule;
    readonly sourceWeights: Readonly<Record<string, number>>;
    readonly languageWeights: Readonly<Record<string, number>>;
    /** The template's name, where the model has several and the recipe chose. */
    readonly template: string | null;
    readonly templateArguments: JsonObject;
    readonly clean: CleanOptions;
  };
  readonly quotas: readonly QuotaReport[];
  /** Tokens of everything read: as the samples say it, as the template prints it, as the windows keep it. */
  readonly stages: StageTokens;
  readonly lengths: LengthReport;
  /** Declared → identified → rows read; `und` for what is not known. */
  readonly identification: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Rows whose reasoning is identified as another language than the row declares. */
  readonly foreignReasoning: number;
  /** Rows with a message that is identified as another language than the row's. */
  readonly foreignMessages: number;
  readonly structure: Readonly<StructureCounts>;
  /** Kept rows that later ones were not compared with, as only so many are remembered: copies of them were not found. */
  readonly uncompared: number;
  readonly languages: Readonly<Record<string, GroupReport>>;
  readonly categories: Readonly<Record<string, GroupReport>>;
}

/** Token lengths of samples before windows, and what other rules would lose. */
export interface LengthReport {
  readonly samples: number;
  readonly p10: number;
  readonly p50: number;
  readonly p90: number;
  readonly max: number;
  readonly overLength: number;
  readonly overflowCost: Readonly<Record<OverflowRule, number>>;
  /** Samples that AutoAWQ would silently drop: those over its 512 tokens. */
  readonly droppedByAutoAwq: number;
}

export interface GroupReport {
  readonly samples: number;
  readonly sequences: number;
  readonly tokens: number;
  readonly channels: Readonly<Record<Channel, number>>;
}

const AUTO_AWQ_LENGTH = 512;

export function createManifest(
  sequences: readonly Sequence[],
  options: PrepareOptions & Quotas & { readonly seed: number; readonly version: string },
  tally: Tally,
  { quotas, uncompared }: Pick<BuildManifest, 'quotas' | 'uncompared'>,
): BuildManifest {
  return {
    schema: 'evenkeel.manifest/1',
    version: options.version,
    seed: options.seed,
    sequences: sequences.length,
    tokens: sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
    tokenizer: { kind: options.tokenizer.kind, sha256: options.tokenizer.sha256 },
    chatTemplate: options.chatTemplate === null ? null : { sha256: options.chatTemplate.sha256 },
    settings: {
      tokens: options.tokens,
      sequenceLength: options.sequenceLength,
      overflow: options.overflow,
      sourceWeights: sorted(options.sourceWeights),
      languageWeights: sorted(options.languageWeights),
      template: options.template ?? null,
      templateArguments: options.templateArguments ?? {},
      clean: options.clean ?? NO_CLEANING,
    },
    sources: tally.sources(sequences),
    quotas,
    stages: tally.stages,
    lengths: lengthReport(tally, options.sequenceLength),
    identification: sortedTable(tally.identification),
    foreignReasoning: tally.foreignReasoning,
    foreignMessages: tally.foreignMessages,
    structure: { ...tally.structure },
    uncompared,
    languages: groupBy(sequences, ({ language }) => language),
    categories: groupBy(sequences, ({ category }) => category),
  };
}

function lengthReport({ lengths, overflow }: Tally, sequenceLength: number): LengthReport {
  const rising = [...lengths].sort(([a], [b]) => a - b);
  const samples = rising.reduce((sum, [, count]) => sum + count, 0);
  const quantile = (share: number) => {
    let left = Math.min(samples - 1, Math.floor(share * samples));
    for (const [length, count] of rising) if ((left -= count) < 0) return length;
    return 0;
  };
  const over = (limit: number) => rising.reduce((sum, [length, count]) => (length > limit ? sum + count : sum), 0);
  return {
    samples,
    p10: quantile(0.1),
    p50: quantile(0.5),
    p90: quantile(0.9),
    max: rising.at(-1)?.[0] ?? 0,
    overLength: over(sequenceLength),
    overflowCost: { ...overflow },
    droppedByAutoAwq: over(AUTO_AWQ_LENGTH),
  };
}

function groupBy(sequences: readonly Sequence[], keyOf: (sequence: Sequence) => string): Record<string, GroupReport> {
  const groups = new Map<string, Sequence[]>();
  for (const sequence of sequences) {
    const group = groups.get(keyOf(sequence)) ?? [];
    groups.set(keyOf(sequence), group);
    group.push(sequence);
  }
  return Object.fromEntries(
    [...groups].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, group]) => [key, groupReport(group)]),
  );
}

function groupReport(group: readonly Sequence[]): GroupReport {
  const channels = zeroChannels();
  for (const sequence of group) {
    for (const index of sequence.channels) {
      const channel = CHANNELS[index];
      if (channel !== undefined) channels[channel]++;
    }
  }
  return {
    samples: new Set(group.map(sampleKey)).size,
    sequences: group.length,
    tokens: group.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
    channels,
  };
}

function sorted(weights: ReadonlyMap<string, number>): Record<string, number> {
  return Object.fromEntries([...weights].sort(([a], [b]) => (a < b ? -1 : 1)));
}

function sortedTable(table: Tally['identification']): Tally['identification'] {
  const rows = Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(
    rows.map(([key, row]) => [key, Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1)))]),
  );
}
