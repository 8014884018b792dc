import { gemm } from '../runtime/matrix.js';
import { withKernel } from './kernel.js';
import type { ScaleCandidate } from './scale-candidates.js';
import { groupWidth, laneCount, transposeRows } from './layout.js';
import type { Scheme } from './scheme.js';
import { levelsOf, SCALE_EPSILON, type SearchSettings } from './settings.js';

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

/** Wide products run nearer to peak; beyond ~1,024 columns they only cost memory. */
function candidatesPerProduct(candidates: number, lanes: number): number {
  return Math.min(candidates, Math.max(1, Math.floor(1024 / lanes)));
}
