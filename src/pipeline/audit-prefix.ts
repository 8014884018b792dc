import type { Coverage } from '../coverage/coverage.js';
import { estimatedCoverage, tokensRun } from '../coverage/estimated.js';
import { choosePilot, prefixesOf } from '../coverage/prefix.js';
import type { SparseCounts } from '../mix/balance-counts.js';
import type { Sequence } from '../mix/sequence.js';
import { auditSequences, type AuditOptions } from './audit.js';
import { countRouting, modelShape, type CountEvent } from './routing-counts.js';

export interface PrefixAuditOptions extends AuditOptions {
  /** Tokens run of every sequence; where it is doubled, the first. */
  readonly prefix: number;
  /** Double the prefix until every cell's interval is clear of the floor, or running everything costs as much. */
  readonly stopEarly: boolean;
  /** Folder of the routing cache; null goes without. */
  readonly cache: string | null;
}

export type PrefixAuditEvent =
  | CountEvent
  /** What the first `prefix` tokens of every sequence leave open. */
  | { readonly kind: 'estimated'; readonly prefix: number; readonly tokensRun: number; readonly open: number }
  | { readonly kind: 'whole'; readonly reason: 'dense' | 'cheaper' };

/** Sequences run whole beside the beginnings; Student's quantile at 59 is within 2 % of the normal one. */
const PILOT = 60;
/** The pilot is drawn the same for every audit of a mix, so that its counts are found in the cache. */
const PILOT_SEED = 1;

/**
 * Audits a mix by the beginnings of its sequences, with stated error. All doublings together cost less than twice the
 * last; where that would be more than half of the whole, the whole is run and the audit is exact.
 */
export async function* auditPrefixes(options: PrefixAuditOptions): AsyncGenerator<PrefixAuditEvent, Coverage> {
  const { model, sequences, floor, floors, assume, stopEarly } = options;
  const { architecture, layers } = modelShape(model, assume);
  const lengths = lengthsOf(sequences);
  const whole = lengths.reduce((sum, length) => sum + length, 0);
  const pilot = choosePilot(sequences.length, PILOT, PILOT_SEED);
  const exact = async function* (reason: 'dense' | 'cheaper'): AsyncGenerator<PrefixAuditEvent, Coverage> {
    yield { kind: 'whole', reason };
    return (yield* auditSequences(options)).coverage;
  };
  if (layers.length === 0) return yield* exact('dense');
  let pilotCounts: SparseCounts | null = null;
  for (let { prefix } = options; ; prefix *= 2) {
    const beginnings = prefixesOf(sequences, prefix);
    const run = lengthsOf(beginnings);
    const cost = tokensRun({ run, lengths, pilot });
    if (cost >= (stopEarly ? whole / 2 : whole)) return yield* exact('cheaper');
    const pass = { ...options, prefix: null };
    pilotCounts ??= yield* countRouting({ ...pass, sequences: pilot.map((index) => sequences[index]!) });
    const prefixes = yield* countRouting({ ...pass, sequences: beginnings });
    const sample = { prefixes, run, lengths, pilot, whole: pilotCounts };
    const coverage = estimatedCoverage({
      model: { path: model, architecture },
      sequences,
      layers,
      floor,
      ...(floors === undefined ? {} : { floors }),
      sample,
      prefix,
    });
    const open = coverage.estimate?.open ?? 0;
    yield { kind: 'estimated', prefix, tokensRun: cost, open };
    if (!stopEarly || open === 0) return coverage;
  }
}

function lengthsOf(sequences: readonly Sequence[]): number[] {
  return sequences.map(({ inputIds }) => inputIds.length);
}
