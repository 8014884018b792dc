import { gemm } from '../runtime/matrix.js';
import { factorGram, type GramFactor } from './gram-factor.js';

/**
 * Quantizing the layers in turn, the inputs x̂ of a Linear drift away from the inputs x that the unquantized model has.
 * A weight W should then not be approximated itself, but the matrix that does on x̂ what W did on x: the ridge regression
 * of W·x on x̂ (after GPTAQ, Li et al. 2025, whose correction is folded into the error feedback; solved for at once here).
 */
export interface DriftSettings {
  /** Ridge, as a share of the Gram's mean diagonal. */
  readonly ridge: number;
  /** Tokens n at which half of the regression is trusted: it is scaled by tokens / (tokens + this). */
  readonly halfTrust: number;
}

/** Chosen on held-out text over calibration sets of 6,144 to 100,000 tokens; see docs/results.md. */
export const DEFAULT_DRIFT: DriftSettings = { ridge: 0.1, halfTrust: 8192 };

export interface DriftStatistics {
  /** Mean x̂x̂ᵀ, [in, in]. */
  readonly gram: Float32Array;
  readonly inFeatures: number;
  /** Tokens behind the statistics. */
  readonly tokens: number;
}

/**
 * For the Linears that read one normed input (q, k and v; router, gate and up): M − I with M = I + t·C(G + λ)⁻¹, so that
 * W·M on x̂ stands for W on x. One matrix serves them all, unquantized ones too.
 *
 * @param cross C = mean (x − x̂)x̂ᵀ, [in, in]
 * @returns [in, in]; zero when there is nothing to regress on
 */
export async function inputDrift(
  statistics: DriftStatistics,
  cross: Float32Array,
  settings: DriftSettings = DEFAULT_DRIFT,
): Promise<Float32Array> {
  return regress(statistics, cross, settings);
}

/** W + W·(M − I) for a weight [out, in] and the drift of its inputs, in `out` where that is given. */
export function followDrift(
  weight: Float32Array,
  drift: Float32Array,
  inFeatures: number,
  out?: Float32Array,
): Promise<Float32Array> {
  const shape = { m: weight.length / inFeatures, n: inFeatures, k: inFeatures };
  return gemm(weight, drift, shape, { addend: weight, ...(out === undefined ? {} : { out }) });
}

/**
 * For a Linear that writes to the residual stream (o_proj): W + t·D(G + λ)⁻¹, so that the stream itself is brought back,
 * whatever pushed it off.
 *
 * @param residual D = mean (h − ĥ)x̂ᵀ, [out, in]: h the unquantized stream behind the block, ĥ the stream with
 *   everything before this Linear quantized and this Linear not
 */
export async function repayResidual(
  weight: Float32Array,
  statistics: DriftStatistics,
  residual: Float32Array,
  settings: DriftSettings = DEFAULT_DRIFT,
): Promise<Float32Array> {
  const correction = await regress(statistics, residual, settings);
  for (let i = 0; i < correction.length; i++) correction[i]! += weight[i]!;
  return correction;
}

async function regress(
  { gram, inFeatures, tokens }: DriftStatistics,
  cross: Float32Array,
  { ridge, halfTrust }: DriftSettings,
): Promise<Float32Array> {
  const factor = tokens === 0 ? null : await factorGram(gram, inFeatures, { damping: ridge, columnOrder: 'stored' });
  if (factor === null) return new Float32Array(cross.length);
  const solution = await divideByGram(factor, cross);
  const trust = tokens / (tokens + halfTrust);
  for (let i = 0; i < solution.length; i++) solution[i]! *= trust;
  return solution;
}

/** X·H⁻¹ for X [rows, in] and a factored Gram H: one triangular solve forwards and one back, panel by panel. */
export async function divideByGram(factor: GramFactor, x: Float32Array): Promise<Float32Array> {
  const { inFeatures: n, order, panels } = factor;
  const rows = x.length / n;
  // Transposed and in the factor's order: [in, rows].
  const work = new Float32Array(x.length);
  transposeOrdered(x, order, work);
  for (const { start, size, below, inverse, micros } of panels) {
    const part = work.subarray(start * rows, (start + size) * rows);
    const solved = await gemm(inverse, part, { m: size, n: rows, k: size });
    const behind = work.subarray((start + size) * rows);
    const shape = { m: n - start - size, n: rows, k: size };
    await gemm(below, solved, shape, { alpha: -1, addend: behind, out: behind });
    for (const micro of micros) {
      const [from, to] = [micro.start * rows, (micro.start + micro.size) * rows];
      divideRows(solved.subarray(from, to), micro.pivots, part.subarray(from, to));
    }
  }
  for (const { start, size, below, inverse } of panels.toReversed()) {
    const part = work.subarray(start * rows, (start + size) * rows);
    const behind = work.subarray((start + size) * rows);
    const shape = { m: size, n: rows, k: n - start - size };
    await gemm(below, behind, shape, { transA: true, alpha: -1, addend: part, out: part });
    part.set(await gemm(inverse, part, { m: size, n: rows, k: size }, { transA: true }));
  }
  return transposeBack(work, order, new Float32Array(x.length));
}

// Loops in functions of their own: V8 compiles a function with everything that it calls once one of its loops is hot.

/** Columns of x [rows, in], in an order, as rows of `target` [in, rows]. */
function transposeOrdered(x: Float32Array, order: Int32Array, target: Float32Array): void {
  const rows = x.length / order.length;
  for (let position = 0; position < order.length; position++) {
    const channel = order[position]!;
    for (let row = 0; row < rows; row++) target[position * rows + row] = x[row * order.length + channel]!;
  }
}

/** The inverse of `transposeOrdered`. */
function transposeBack(ordered: Float32Array, order: Int32Array, target: Float32Array): Float32Array {
  const rows = ordered.length / order.length;
  for (let position = 0; position < order.length; position++) {
    const channel = order[position]!;
    for (let row = 0; row < rows; row++) target[row * order.length + channel] = ordered[position * rows + row]!;
  }
  return target;
}

/** Each row of `values` divided by its pivot. */
function divideRows(values: Float32Array, pivots: Float32Array, target: Float32Array): void {
  const width = values.length / pivots.length;
  for (let row = 0, at = 0; row < pivots.length; row++) {
    const pivot = pivots[row]!;
    for (const end = at + width; at < end; at++) target[at] = values[at]! / pivot;
  }
}
