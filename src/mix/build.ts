import { InputError } from '../errors.js';
import type { Sample } from '../data/sample.js';
import { CandidatePool, drawOf } from './candidates.js';
import { createManifest, type BuildManifest } from './manifest.js';
import { createPreparer, type PreparedSample, type PrepareOptions } from './prepare.js';
import { selectSequences, type QuotaReport, type Quotas } from './select.js';
import type { Mix, Sequence } from './sequence.js';
import { createTally, type DropReason, type Tally } from './tally.js';

export interface BuildOptions extends PrepareOptions, Quotas {
  readonly seed: number;
  /** The tool's version, for the manifest. */
  readonly version: string;
  /** Rows asked of each source, by name; for the report. */
  readonly wanted: ReadonlyMap<string, number | 'all' | null>;
  /** How many budgets' worth of candidates to keep per stratum, for a later choice among them. */
  readonly pool?: number;
  /** A row the template refuses: end the build (`fail`), or count it (`skip`). */
  readonly onTemplateError?: 'fail' | 'skip';
  readonly signal?: AbortSignal;
}

export type BuildEvent =
  | { readonly type: 'progress'; readonly read: number; readonly tokens: number }
  | {
      readonly type: 'dropped';
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
  /** The same build with other sequences chosen from the pool, its reports counted anew. */
  readonly withSequences: (sequences: readonly Sequence[]) => BuiltMix;
}

/** Rows between two progress events. */
const PROGRESS_ROWS = 100;

/**
 * Builds a mix: every sample is rendered, tokenized and cut into windows; a reproducible draw keeps candidates per source
 * and language; quotas choose among them. Memory holds `pool` budgets of candidates, not the input.
 *
 * @throws InputError for a row that cannot be rendered (unless skipped) and for a mix that comes out empty
 */
export async function* buildMix(
  samples: AsyncIterable<Sample>,
  options: BuildOptions,
): AsyncGenerator<BuildEvent, BuiltMix> {
  const prepare = createPreparer(options);
  const tally = createTally(options.wanted);
  const pool = new CandidatePool((options.tokens ?? Number.POSITIVE_INFINITY) * (options.pool ?? 1));
  let read = 0;
  let tokens = 0;
  for await (const sample of samples) {
    options.signal?.throwIfAborted();
    const { source, recordId, revision, license } = sample.origin;
    tally.row(source, revision, license);
    read++;
    const outcome = attempt(sample, prepare, options);
    if (outcome.kind === 'dropped') {
      tally.drop(source, outcome.reason);
      yield { type: 'dropped', source, recordId, reason: outcome.reason, detail: outcome.detail };
    } else {
      const { prepared } = outcome;
      tally.prepared(prepared);
      tokens += prepared.length;
      const language = prepared.sequences[0]?.language ?? 'und';
      const kept = prepared.sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
      pool.add(
        { source, language },
        { sequences: prepared.sequences, draw: drawOf(options.seed, source, recordId), tokens: kept },
      );
    }
    if (read % PROGRESS_ROWS === 0) yield { type: 'progress', read, tokens };
  }
  yield { type: 'progress', read, tokens };
  const strata = pool.strata();
  const selection = selectSequences(strata, options);
  if (selection.sequences.length === 0) throw new InputError(emptyMix(tally, read));
  const built = describe(selection.sequences, {
    options,
    tally,
    quotas: selection.quotas,
    pool: strata.flatMap(({ candidates }) => candidates.flatMap(({ sequences }) => sequences)),
  });
  yield { type: 'selected', sequences: built.sequences.length, tokens: built.manifest.tokens, quotas: built.quotas };
  return built;
}

type Outcome =
  | { readonly kind: 'prepared'; readonly prepared: PreparedSample }
  | { readonly kind: 'dropped'; readonly reason: DropReason; readonly detail: string };

function attempt(sample: Sample, prepare: (sample: Sample) => PreparedSample, options: BuildOptions): Outcome {
  let prepared: PreparedSample;
  try {
    prepared = prepare(sample);
  } catch (error) {
    if (options.onTemplateError !== 'skip' || !(error instanceof InputError)) throw error;
    return { kind: 'dropped', reason: 'template_error', detail: error.message };
  }
  if (prepared.length === 0) return { kind: 'dropped', reason: 'empty', detail: 'no tokens' };
  if (prepared.sequences.length === 0) {
    const detail = `${prepared.length} tokens, over ${options.sequenceLength}, and overflow is "${options.overflow}"`;
    return { kind: 'dropped', reason: 'too_long', detail };
  }
  return { kind: 'prepared', prepared };
}

interface BuildState {
  readonly options: BuildOptions;
  readonly tally: Tally;
  readonly quotas: readonly QuotaReport[];
  readonly pool: readonly Sequence[];
}

function describe(sequences: readonly Sequence[], state: BuildState): BuiltMix {
  return {
    sequences,
    pool: state.pool,
    quotas: state.quotas,
    manifest: createManifest(sequences, state.options, state.tally, state.quotas),
    withSequences: (chosen) => describe(chosen, state),
  };
}

function emptyMix(tally: Tally, read: number): string {
  if (read === 0) return 'Cannot build a mix: its sources have no rows';
  const reasons = tally
    .sources([])
    .flatMap(({ source, dropped }) =>
      Object.entries(dropped).map(([reason, count]) => `${count} of "${source}" ${reason.replaceAll('_', ' ')}`),
    );
  return `Cannot build a mix: none of ${read} rows is left (${reasons.join('; ')})`;
}
