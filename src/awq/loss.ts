import { gemm } from '../runtime/matrix.js';
import { withKernel } from './kernel.js';

/** Rows per product, so that the product of a large weight never stands in memory whole. */
const ROWS = 1024;
/** Random sign vectors of the trace estimate: its relative error is below √(2/64) ≈ 18 %, and far below for many rows. */
const PROBES = 64;

/**
 * tr(ΔGΔᵀ) for Δ [out, in] and a Gram [in, in] (mean xxᵀ): the mean squared error, summed over outputs, that Δ causes on
 * the inputs behind G. Products in f32, sums in runs of f64.
 */
export async function traceLoss(delta: Float32Array, gram: Float32Array, inFeatures: number): Promise<number> {
  let total = 0;
  const step = ROWS * inFeatures;
  for (let from = 0; from < delta.length; from += step) {
    const rows = delta.subarray(from, from + step);
    const product = await gemm(rows, gram, { m: rows.length / inFeatures, n: inFeatures, k: inFeatures });
    total += dotProduct(rows, product);
  }
  return total;
}

/** ‖ΔSᵀ‖²: the same for a sketch S [rows, in] with SᵀS ≈ G. */
export async function sketchLoss(
  delta: Float32Array,
  sketch: Float32Array,
  sketchRows: number,
  inFeatures: number,
): Promise<number> {
  const shape = { m: delta.length / inFeatures, n: sketchRows, k: inFeatures };
  const product = await gemm(delta, sketch, shape, { transB: true });
  return dotProduct(product, product);
}

/**
 * tr(WGWᵀ), the mean energy of a Linear's output. Exact up to 64 output rows; above, Hutchinson's estimate: rows mixed by
 * 64 fixed sign vectors z, E[zᵀWGWᵀz] = tr(WGWᵀ), at a fraction of the cost.
 */
export async function signalEnergy(
  weight: Float32Array,
  gram: Float32Array,
  outFeatures: number,
  inFeatures: number,
): Promise<number> {
  if (outFeatures <= PROBES) return traceLoss(weight, gram, inFeatures);
  const signs = signMatrix(outFeatures);
  return withKernel(2 * PROBES * inFeatures, 2, async (kernel) => {
    const [mixed, product] = [kernel.floats(PROBES * inFeatures), kernel.floats(PROBES * inFeatures)];
    await gemm(signs, weight, { m: PROBES, n: inFeatures, k: outFeatures }, { out: mixed });
    await gemm(mixed, gram, { m: PROBES, n: inFeatures, k: inFeatures }, { out: product });
    return kernel.dot(mixed.byteOffset, product.byteOffset, mixed.length) / PROBES;
  });
}

/** Matrices of ±1 [probes, columns]; a model has Linears of few shapes. */
const signMatrices = new Map<number, Float32Array>();

/** From a xorshift generator with a fixed seed: the same estimate on every run. */
function signMatrix(columns: number): Float32Array {
  let signs = signMatrices.get(columns);
  if (signs === undefined) {
    let state = 0x9e3779b9;
    signs = Float32Array.from({ length: PROBES * columns }, () => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state & 0x10000) === 0 ? 1 : -1;
    });
    signMatrices.set(columns, signs);
  }
  return signs;
}

function dotProduct(a: Float32Array, b: Float32Array): number {
  let total = 0;
  for (let i = 0; i < a.length; i++) total += a[i]! * b[i]!;
  return total;
}
