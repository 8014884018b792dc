import { InputError } from '../errors.js';
import type { Sample } from '../data/sample.js';
import { CandidatePool, drawOf } from './candidates.js';
import { NO_CLEANING } from './clean.js';
import { createDuplicateIndex } from './duplicates.js';
import { judge, type JudgeOptions } from './judge.js';
import { createManifest, type BuildManifest } from './manifest.js';
import { checkRequired, isRequired, type MustInclude } from './must-include.js';
import type { PreparePlan } from './prepare-plan.js';
import { prepareInWorkers, weightOf, type Prepared } from './prepare-pool.js';
import { createRemarks, type RowRemark, type SkippedRow } from './remarks.js';
import { attempt, createPreparer, type PrepareOptions } from './prepare.js';
import { selectSequences, shareTargets, type QuotaReport, type Quotas } from './select.js';
import type { Mix, Sequence } from './sequence.js';
import { createTally, type DropReason, type Tally } from './tally.js';

export interface BuildOptions extends PrepareOptions, Quotas, JudgeOptions {
  readonly seed: number;
  /** The tool's version, for the manifest. */
  readonly version: string;
  /** Rows asked of each source, by name; for the report. */
  readonly wanted: ReadonlyMap<string, number | 'all' | null>;
  /** How many budgets' worth of candidates to keep per stratum, for a later choice among them. */
  readonly pool?: number;
  /** Rows that are in the mix whatever the draw. */
  readonly mustInclude?: MustInclude;
  /** Rows that were passed over while the samples were read; filled by whoever reads them, emptied here. */
  readonly skipped?: SkippedRow[];
  /**
   * Worker threads, what each loads, and the characters that this thread prepares before it starts them. All in this
   * thread when absent. The mix is the same.
   */
  readonly workers?: { readonly count: number; readonly plan: PreparePlan; readonly after?: number };
  readonly signal?: AbortSignal;
}

export type BuildEvent =
  | { readonly type: 'progress'; readonly read: number; readonly tokens: number }
  /** A row that is not in the mix, or (`kept`) one in it that has a flaw. */
  | {
      readonly type: 'dropped' | 'kept';
      readonly source: string;
      readonly recordId: string;
      readonly reason: DropReason;
      readonly detail: string;
    }
  | {
      readonly type: 'selected';
      readonly sequences: number;
      readonly tokens: number;
      readonly quotas: readonly QuotaReport[];
    };

/** A mix with what it was chosen from. */
export interface BuiltMix extends Mix {
  readonly manifest: BuildManifest;
  /** All sequences that could have been chosen, the chosen ones among them, in the order of the draw. */
  readonly pool: readonly Sequence[];
  readonly quotas: readonly QuotaReport[];
  /** What became of rows one by one, where there is more to say than that they were not drawn. */
  readonly remarks: readonly RowRemark[];
  /** The same build with other sequences chosen from the pool, its reports counted anew. */
  readonly withSequences: (sequences: readonly Sequence[]) => BuiltMix;
}

/** Rows between two progress events. */
const PROGRESS_ROWS = 100;

/**
 * Builds a mix: every sample is identified, cleaned, rendered, tokenized and cut into windows; a reproducible draw keeps
 * candidates per source and language; quotas choose among them. Memory holds `pool` budgets of candidates, not the input.
 *
 * @throws InputError for a row that cannot be rendered (unless skipped) and for a mix that comes out empty
 */
export async function* buildMix(
  samples: AsyncIterable<Sample>,
  options: BuildOptions,
): AsyncGenerator<BuildEvent, BuiltMix> {
  const tally = createTally(options.wanted);
  const pool = new CandidatePool((options.tokens ?? Number.POSITIVE_INFINITY) * (options.pool ?? 1), (strata, budget) =>
    shareTargets(strata, budget, options),
  );
  const clean = options.clean ?? NO_CLEANING;
  const duplicates = createDuplicateIndex(clean.nearDuplicateSimilarity);
  const { workers, mustInclude = new Map() } = options;
  const found = new Map<string, Set<string>>();
  const prepared = workers === undefined ? prepareHere(samples, options) : prepareWithHelp(samples, options, workers);
  const remarks = createRemarks();
  const { skipped = [] } = options;
  const tellSkipped = (samplesBefore: number) => {
    while ((skipped[0]?.after ?? Number.POSITIVE_INFINITY) <= samplesBefore) {
      const { source = '', place: row = '', reason: detail = '' } = skipped.shift() ?? {};
      read++;
      tally.row(source, null, null);
      tally.drop(source, 'unreadable');
      remarks.add({ source, row, fate: 'skipped', reason: 'unreadable', detail });
    }
  };
  let samplesSeen = 0;
  let read = 0;
  let tokens = 0;
  for await (const { sample, outcome } of prepared) {
    options.signal?.throwIfAborted();
    tellSkipped(samplesSeen++);
    const { source, recordId, revision, license } = sample.origin;
    tally.row(source, revision, license);
    read++;
    const { drop, report, kept, measured } = judge(sample, outcome, options, clean, duplicates);
    for (const { reason, detail } of report) {
      tally.flaw(source, reason);
      remarks.add({ source, row: recordId, fate: 'kept', reason, detail });
      yield { type: 'kept', source, recordId, reason, detail };
    }
    if (drop !== null) {
      if (isRequired(mustInclude, source, recordId)) {
        throw new InputError(`Cannot include "${recordId}" of "${source}": ${drop.reason} (${drop.detail})`);
      }
      tally.drop(source, drop.reason);
      remarks.add({ source, row: recordId, fate: 'dropped', ...drop });
      yield { type: 'dropped', source, recordId, reason: drop.reason, detail: drop.detail };
    }
    if (measured !== null) tally.prepared(measured, sample);
    if (kept !== null) {
      tokens += kept.length;
      const length = kept.sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
      const language = kept.sequences[0]?.language ?? 'und';
      pool.add(
        { source, language },
        {
          sequences: kept.sequences,
          draw: drawOf(options.seed, source, recordId),
          tokens: length,
          required: isRequired(mustInclude, source, recordId),
        },
      );
      if (mustInclude.has(source)) found.set(source, (found.get(source) ?? new Set()).add(recordId));
    }
    if (read % PROGRESS_ROWS === 0) yield { type: 'progress', read, tokens };
  }
  tellSkipped(samplesSeen);
  yield { type: 'progress', read, tokens };
  checkRequired(mustInclude, found);
  const strata = pool.strata();
  const selection = selectSequences(strata, options);
  if (selection.sequences.length === 0) throw new InputError(emptyMix(tally, read));
  const built = describe(selection.sequences, {
    options,
    tally,
    quotas: selection.quotas,
    uncompared: duplicates.forgotten,
    remarks: remarks.remarks,
    pool: strata.flatMap(({ candidates }) => candidates.flatMap(({ sequences }) => sequences)),
  });
  yield { type: 'selected', sequences: built.sequences.length, tokens: built.manifest.tokens, quotas: built.quotas };
  return built;
}

/**
 * Characters that this thread prepares before it starts workers: as many as it does in the time that two of them take to
 * load a tokenizer and the tables of languages.
 */
const ALONE_CHARACTERS = 1_000_000;

/** Begins in this thread, and starts workers once there is enough to do for them. */
async function* prepareWithHelp(
  samples: AsyncIterable<Sample>,
  options: BuildOptions,
  { plan, count, after = ALONE_CHARACTERS }: NonNullable<BuildOptions['workers']>,
): AsyncGenerator<Prepared> {
  const iterator = samples[Symbol.asyncIterator]();
  const rest = { [Symbol.asyncIterator]: () => iterator };
  let characters = 0;
  async function* beginning(): AsyncGenerator<Sample> {
    while (characters < after) {
      const next = await iterator.next();
      if (next.done === true) return;
      characters += weightOf(next.value);
      yield next.value;
    }
  }
  try {
    yield* prepareHere(beginning(), options);
    if (characters >= after) yield* prepareInWorkers(rest, plan, count);
  } finally {
    await iterator.return?.();
  }
}

async function* prepareHere(samples: AsyncIterable<Sample>, options: BuildOptions): AsyncGenerator<Prepared> {
  const prepare = createPreparer(options);
  for await (const sample of samples) yield { sample, outcome: attempt(prepare, sample) };
}

interface BuildState {
  readonly options: BuildOptions;
  readonly tally: Tally;
  readonly quotas: readonly QuotaReport[];
  readonly uncompared: number;
  readonly remarks: readonly RowRemark[];
  readonly pool: readonly Sequence[];
}

function describe(sequences: readonly Sequence[], state: BuildState): BuiltMix {
  return {
    sequences,
    pool: state.pool,
    quotas: state.quotas,
    remarks: state.remarks,
    manifest: createManifest(sequences, state.options, state.tally, state),
    withSequences: (chosen) => describe(chosen, state),
  };
}

function emptyMix(tally: Tally, read: number): string {
  if (read === 0) return 'Cannot build a mix: its sources have no rows';
  const reasons = tally
    .sources([])
    .flatMap(({ source, dropped: counts }) =>
      Object.entries(counts).map(([reason, count]) => `${count} of "${source}" ${reason.replaceAll('_', ' ')}`),
    );
  return `Cannot build a mix: none of ${read} rows is left (${reasons.join('; ')})`;
}
