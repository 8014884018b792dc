import { InputError } from '../errors.js';
import type { Sample } from '../data/sample.js';
import type { CleanOptions } from './clean.js';
import type { DuplicateIndex } from './duplicates.js';
import type { Outcome, PreparedSample, PrepareOptions } from './prepare.js';
import type { DropReason } from './tally.js';

export interface JudgeOptions extends Pick<PrepareOptions, 'sequenceLength' | 'overflow'> {
  /** Sources whose rows template and vocabulary may refuse: they are counted. A refused row of any other ends the build. */
  readonly skipRefusedOf?: ReadonlySet<string>;
}

interface Reason {
  readonly reason: DropReason;
  readonly detail: string;
}

/** What is done with a row. */
export interface Verdict {
  readonly drop: Reason | null;
  readonly report: readonly Reason[];
  readonly kept: PreparedSample | null;
  /** What is counted at its length, whether it is kept or too long to be. */
  readonly measured: PreparedSample | null;
}

/**
 * Drops or keeps a prepared row by what was found in it and by the rows before it.
 *
 * @throws InputError for a row that could not be prepared, unless its source passes over such
 */
export function judge(
  { origin }: Sample,
  outcome: Outcome,
  options: JudgeOptions,
  clean: CleanOptions,
  duplicates: DuplicateIndex,
): Verdict {
  if (outcome.kind === 'refused') {
    if (options.skipRefusedOf?.has(origin.source) !== true) throw new InputError(outcome.message);
    return dropped(outcome.reason, outcome.message);
  }
  const { prepared } = outcome;
  if (prepared.length === 0) return dropped('empty', 'no tokens');
  const { sequenceLength, overflow } = options;
  if (prepared.sequences.length === 0) {
    const detail = `${prepared.length} tokens, over ${sequenceLength}, and overflow is "${overflow}"`;
    return { ...dropped('too_long', detail), measured: prepared };
  }
  const flaw = prepared.findings.find(({ gate }) => gate === 'drop');
  if (flaw !== undefined) return dropped(flaw.flaw, flaw.detail);
  const report: Reason[] = prepared.findings.map((finding) => ({ reason: finding.flaw, detail: finding.detail }));
  const copy = prepared.fingerprint === null ? null : duplicates.find(prepared.fingerprint);
  if (copy !== null) {
    const [reason, gate] =
      copy.kind === 'exact'
        ? (['exact_duplicate', clean.exactDuplicates] as const)
        : (['near_duplicate', clean.nearDuplicates] as const);
    const detail =
      copy.kind === 'exact'
        ? 'the text of an earlier row'
        : `${(100 * copy.similarity).toFixed(0)} % like an earlier row`;
    if (gate === 'drop') return dropped(reason, detail);
    if (gate === 'report') report.push({ reason, detail });
  }
  return { drop: null, report, kept: prepared, measured: prepared };
}

function dropped(reason: DropReason, detail: string): Verdict {
  return { drop: { reason, detail }, report: [], kept: null, measured: null };
}
