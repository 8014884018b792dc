import type { SearchSettings } from './settings.js';

/** One way to smooth an edge: its inputs are divided, its weights' columns multiplied by `scales`. */
export interface ScaleCandidate {
  /** Exponent r of the activations; null for the identity. */
  readonly ratio: number | null;
  /** [in], positive and finite. */
  readonly scales: Float32Array;
}

export interface ChosenScales {
  readonly scales: Float32Array;
  readonly ratio: number | null;
  /** The identity's loss and the chosen one's, in the units of the losses that were summed. */
  readonly lossBefore: number;
  readonly loss: number;
  readonly losses: Float64Array;
}

const LEAST_SCALE = 1e-4;

/**
 * The candidates of AWQ (Lin et al. 2023) as llm-compressor spaces them: identity, then for r = 0 … 1 in grid − 1 steps
 * s = max(a^r / (w^(1−r) + 1e-4), 1e-4), divided by √(max s · min s); without duo scaling s = a^r.
 *
 * @param meanAbs a [in], mean |x| per input channel
 * @param weightMean w [in], see `meanWeightMagnitude`
 */
export function scaleCandidates(
  meanAbs: Float32Array,
  weightMean: Float32Array,
  { grid, duoScaling }: Pick<SearchSettings, 'grid' | 'duoScaling'>,
): ScaleCandidate[] {
  const candidates: ScaleCandidate[] = [{ ratio: null, scales: new Float32Array(meanAbs.length).fill(1) }];
  const kinds = duoScaling === 'both' ? [true, false] : [duoScaling];
  const steps = Math.max(1, Math.floor((grid - 1) / kinds.length));
  for (const duo of kinds) {
    for (let i = 0; i < steps; i++)
      candidates.push(scaleCandidate(meanAbs, weightMean, steps === 1 ? 0.5 : i / (steps - 1), duo));
  }
  return candidates;
}

function scaleCandidate(meanAbs: Float32Array, weightMean: Float32Array, ratio: number, duo: boolean): ScaleCandidate {
  const raw = Float64Array.from(meanAbs, (a, j) => {
    const scaled = duo ? a ** ratio / (weightMean[j]! ** (1 - ratio) + 1e-4) : a ** ratio;
    return Math.max(scaled, LEAST_SCALE);
  });
  let [least, most] = [Infinity, 0];
  for (const value of raw) {
    least = Math.min(least, value);
    most = Math.max(most, value);
  }
  const norm = Math.sqrt(least * most);
  const scales = Float32Array.from(raw, (value) => value / norm).map((s) => (Number.isFinite(s) && s > 0 ? s : 1));
  return { ratio, scales };
}

/** Output rows to judge of each of an edge's Linears, so that the edge stays within the budget. */
export function rowsPerLinear(outFeatures: number, linears: number, rowBudget: number): number {
  return Math.min(outFeatures, Math.max(16, Math.ceil(rowBudget / linears)));
}

/** The candidate with the least loss; the identity, then the smaller ratio wins ties. NaN never wins. */
export function chooseScales(candidates: readonly ScaleCandidate[], losses: Float64Array): ChosenScales {
  let best = 0;
  for (const [index, loss] of losses.entries()) if (loss < losses[best]!) best = index;
  const { scales, ratio } = candidates[best]!;
  return { scales, ratio, lossBefore: losses[0]!, loss: losses[best]!, losses };
}
