import type { Sample } from '../data/sample.js';
import { addCounts, zeroChannels } from '../text/channel.js';
import { agrees } from '../text/language.js';
import type { PreparedSample, StageTokens } from './prepare.js';
import type { Sequence, SourceReport } from './sequence.js';
import { sampleKey } from './sequence.js';
import { OVERFLOW_RULES, type OverflowRule } from './windows.js';

/** Why a row that was read is not in the mix. */
export type DropReason =
  /** No schema could take it. */
  | 'unreadable'
  | 'empty'
  | 'template_error'
  | 'out_of_vocabulary'
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
  /** A flaw of a row that is kept all the same. */
  flaw(source: string, reason: DropReason): void;
  prepared(prepared: PreparedSample, sample: Sample): void;
  /** Reports with kept rows and tokens counted in `chosen`; rows neither dropped nor chosen are `not_drawn`. */
  sources(chosen: readonly Sequence[]): SourceReport[];
  readonly stages: StageTokens;
  readonly overflow: Readonly<Record<OverflowRule, number>>;
  /** Tokens before windows → prepared samples of that length: there are far fewer lengths than samples. */
  readonly lengths: ReadonlyMap<number, number>;
  /** Declared → identified → rows, where both are known. */
  readonly identification: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Rows whose reasoning is in another language than the row declares, by source. */
  readonly foreignReasoning: number;
  /** Rows with a message in another language than the row's. */
  readonly foreignMessages: number;
  readonly structure: StructureCounts;
}

/** What the conversations are made of. */
export interface StructureCounts {
  messages: number;
  toolCalls: number;
  /** Tool calls that no tool message answers, and tool messages that answer none. */
  unpaired: number;
  withReasoning: number;
}

interface SourceTally {
  revision: string | null;
  license: string | null;
  read: number;
  readonly dropped: Map<DropReason, number>;
  readonly flaws: Map<DropReason, number>;
}

/** @param wanted rows asked of each source, in the order of the recipe */
export function createTally(wanted: ReadonlyMap<string, number | 'all' | null>): Tally {
  const sources = new Map<string, SourceTally>();
  const of = (name: string): SourceTally => {
    const known = sources.get(name) ?? { revision: null, license: null, read: 0, dropped: new Map(), flaws: new Map() };
    sources.set(name, known);
    return known;
  };
  for (const name of wanted.keys()) of(name);
  const stages = { raw: zeroChannels(), rendered: zeroChannels(), kept: zeroChannels() };
  const overflow: Record<OverflowRule, number> = { window: 0, truncate: 0, drop: 0 };
  const lengths = new Map<number, number>();
  const identification: Record<string, Record<string, number>> = {};
  const structure: StructureCounts = { messages: 0, toolCalls: 0, unpaired: 0, withReasoning: 0 };
  let foreignReasoning = 0;
  let foreignMessages = 0;
  return {
    stages,
    overflow,
    lengths,
    identification,
    structure,
    get foreignReasoning() {
      return foreignReasoning;
    },
    get foreignMessages() {
      return foreignMessages;
    },
    row(source, revision, license) {
      const tally = of(source);
      tally.read++;
      tally.revision ??= revision;
      tally.license ??= license;
    },
    drop(source, reason) {
      increment(of(source).dropped, reason);
    },
    flaw(source, reason) {
      increment(of(source).flaws, reason);
    },
    prepared(prepared, sample) {
      for (const stage of ['raw', 'rendered', 'kept'] as const) addCounts(stages[stage], prepared.tokens[stage]);
      for (const rule of OVERFLOW_RULES) overflow[rule] += prepared.overflowCost[rule];
      lengths.set(prepared.length, (lengths.get(prepared.length) ?? 0) + 1);
      addStructure(structure, sample);
      const { language } = prepared;
      if (language === null) return;
      const { declared, identified } = language;
      const row = (identification[declared ?? 'und'] ??= {});
      // `sr` is not contradicted by Serbian in Cyrillic letters, nor Croatian by what might as well be Bosnian.
      const found = declared !== null && identified.language !== 'und' && agrees(declared, identified);
      const tag = found ? declared : identified.language;
      row[tag] = (row[tag] ?? 0) + 1;
      if (language.disagreeing.includes('reasoning')) foreignReasoning++;
      if (language.foreign.length > 0) foreignMessages++;
    },
    sources: (chosen) =>
      [...sources].map(([source, tally]) => report(source, tally, wanted.get(source) ?? null, chosen)),
  };
}

function increment(counts: Map<DropReason, number>, reason: DropReason): void {
  counts.set(reason, (counts.get(reason) ?? 0) + 1);
}

function addStructure(counts: StructureCounts, { content }: Sample): void {
  if (content.kind !== 'messages') return;
  const { messages } = content;
  counts.messages += messages.length;
  const calls = messages.reduce((sum, { toolCalls }) => sum + (toolCalls?.length ?? 0), 0);
  const answers = messages.filter(({ role }) => role === 'tool').length;
  counts.toolCalls += calls;
  counts.unpaired += Math.abs(calls - answers);
  if (messages.some(({ reasoningContent }) => (reasoningContent ?? '') !== '')) counts.withReasoning++;
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
    ...(tally.flaws.size === 0
      ? {}
      : { flaws: Object.fromEntries([...tally.flaws].sort(([a], [b]) => (a < b ? -1 : 1))) }),
    dropped: Object.fromEntries([...dropped, ...(undrawn > 0 ? [['not_drawn', undrawn] as const] : [])]),
  };
}
