import { gemm } from '../runtime/matrix.js';
import { withKernel } from './kernel.js';
import { groupWidth, laneCount, transposeRows } from './layout.js';
import type { Scheme } from './scheme.js';
import { levelsOf, SCALE_EPSILON, type SearchSettings } from './settings.js';

/** One way to smooth an edge: its inputs are divided, its weights' columns multiplied by `scales`. */
export interface ScaleCandidate {
  /** Exponent r of the activations; null for the identity. */
  readonly ratio: number | null;
  /** [in], positive and finite. */
  readonly scales: Float32Array;
}

/** Inputs of a Linear as the search needs them: their Gram, or a sketch S [rows, in] with SᵀS ≈ Gram. */
export type InputStatistics =
  | { readonly kind: 'gram'; readonly gram: Float32Array }
  | { readonly kind: 'sketch'; readonly sketch: Float32Array; readonly rows: number };

export interface SearchedLinear {
  /** [out, in], not smoothed. */
  readonly weight: Float32Array;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly statistics: InputStatistics;
  /** Weight of this Linear's loss in the edge's: its routed tokens, or 1. */
  readonly lossWeight: number;
  /** Rows judged, spread evenly; see `rowsPerLinear`. */
  readonly rows: number;
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

/**
 * Loss of every candidate on one Linear: lossWeight · tr(ΔGΔᵀ) with Δ = Q(W·diag s)·diag(1/s) − W, scaled up from the
 * judged rows to all of them. Losses of an edge's Linears, or of partial runs, add up.
 *
 * @returns [candidates]
 */
export function scaleLosses(
  candidates: readonly ScaleCandidate[],
  linear: SearchedLinear,
  scheme: Scheme,
  settings: Pick<SearchSettings, 'signedScales'>,
  scaleDtype: 'BF16' | 'F16',
): Promise<Float64Array> {
  const { weight, outFeatures, inFeatures, statistics, lossWeight } = linear;
  const width = groupWidth(scheme, inFeatures);
  const count = Math.min(linear.rows, outFeatures);
  const lanes = laneCount(count);
  const batch = candidatesPerProduct(candidates.length, lanes);
  const productRows = statistics.kind === 'gram' ? inFeatures : statistics.rows;
  const sums = 2 * candidates.length;
  const values = inFeatures * lanes + batch * lanes * (inFeatures + productRows) + inFeatures + 7 * lanes + sums;
  return withKernel(values, 8, async (kernel) => {
    const { mode, steps, half } = levelsOf(scheme, settings.signedScales);
    const isF16 = scaleDtype === 'F16' ? 1 : 0;
    const transposed = kernel.floats(inFeatures * lanes);
    const step = Math.floor(outFeatures / count);
    transposeRows(weight, inFeatures, { from: Math.floor(step / 2), count, step }, transposed, lanes);
    const smooth = kernel.floats(inFeatures);
    const scratch = kernel.floats(4 * lanes);
    const ratio = kernel.floats(2 * lanes).fill(1);
    const errors = kernel.floats(batch * lanes * inFeatures);
    const product = kernel.floats(batch * lanes * productRows);
    const losses = kernel.doubles(candidates.length);

    for (let first = 0; first < candidates.length; first += batch) {
      const some = candidates.slice(first, first + batch);
      const columns = some.length * lanes;
      for (const [index, { scales }] of some.entries()) {
        smooth.set(scales);
        for (let channel = 0; channel < inFeatures; channel += width) {
          kernel.roundSmoothed(
            transposed.byteOffset + channel * lanes * 4,
            smooth.byteOffset + channel * 4,
            width,
            lanes,
            mode,
            steps,
            half,
            isF16,
            SCALE_EPSILON[scaleDtype],
            scratch.byteOffset,
            ratio.byteOffset,
            errors.byteOffset + (channel * columns + index * lanes) * 4,
            columns * 4,
          );
        }
      }
      const delta = errors.subarray(0, inFeatures * columns);
      const out = product.subarray(0, productRows * columns);
      const left = statistics.kind === 'gram' ? statistics.gram : statistics.sketch;
      await gemm(left, delta, { m: productRows, n: columns, k: inFeatures }, { out });
      const other = statistics.kind === 'gram' ? delta : out;
      const into = losses.byteOffset + first * 8;
      kernel.columnLosses(other.byteOffset, out.byteOffset, productRows, some.length, lanes, into);
    }
    return Float64Array.from(losses, (loss) => (loss * lossWeight * outFeatures) / count);
  });
}

/** The candidate with the least loss; the identity, then the smaller ratio wins ties. NaN never wins. */
export function chooseScales(candidates: readonly ScaleCandidate[], losses: Float64Array): ChosenScales {
  let best = 0;
  for (const [index, loss] of losses.entries()) if (loss < losses[best]!) best = index;
  const { scales, ratio } = candidates[best]!;
  return { scales, ratio, lossBefore: losses[0]!, loss: losses[best]!, losses };
}

/** Wide products run nearer to peak; beyond ~1,024 columns they only cost memory. */
function candidatesPerProduct(candidates: number, lanes: number): number {
  return Math.min(candidates, Math.max(1, Math.floor(1024 / lanes)));
}
