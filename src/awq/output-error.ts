import { gemm } from '../runtime/matrix.js';
import { groupWidth } from './layout.js';
import type { QuantizedLinear } from './scheme.js';

/** Rows of a Linear's unsmoothed input with the group each belongs to. */
export interface SampledRows {
  /** [rows × in] */
  readonly rows: Float32Array;
  readonly groupOf: Uint16Array;
  readonly groups: number;
}

/**
 * Adds ‖Wx‖² to `signal` and ‖(W' − W)x‖² to `error` of each row's group, W' being what a runtime computes once the
 * source has absorbed the scales: W'[o, i] = Q[o, i] · outputScales[o] / inputScales[i].
 *
 * @param weight [out, in], not smoothed
 * @param scratch room for out × in values
 */
export async function addOutputErrors(
  weight: Float32Array,
  quantized: QuantizedLinear,
  inputScales: Float32Array | null,
  outputScales: Float32Array | null,
  { rows, groupOf }: SampledRows,
  signal: Float64Array,
  error: Float64Array,
  scratch?: Float32Array,
): Promise<void> {
  const { outFeatures, inFeatures } = quantized;
  const count = groupOf.length;
  if (count === 0) return;
  const delta = dequantize(quantized, scratch);
  subtractOriginal(delta, weight, outFeatures, inFeatures, inputScales, outputScales);
  const shape = { m: count, n: outFeatures, k: inFeatures };
  addSquares(await gemm(rows, weight, shape, { transB: true }), outFeatures, groupOf, signal);
  addSquares(await gemm(rows, delta, shape, { transB: true }), outFeatures, groupOf, error);
}

/** W' − W in place of Q. */
function subtractOriginal(
  values: Float32Array,
  weight: Float32Array,
  outFeatures: number,
  inFeatures: number,
  inputScales: Float32Array | null,
  outputScales: Float32Array | null,
): void {
  for (let o = 0, at = 0; o < outFeatures; o++) {
    const back = outputScales === null ? 1 : outputScales[o]!;
    for (let i = 0; i < inFeatures; i++, at++) {
      values[at] = (values[at]! * back) / (inputScales === null ? 1 : inputScales[i]!) - weight[at]!;
    }
  }
}

/** Adds each row's squared norm to its group. */
function addSquares(rows: Float32Array, width: number, groupOf: Uint16Array, groups: Float64Array): void {
  for (let row = 0, at = 0; row < groupOf.length; row++) {
    let sum = 0;
    for (let i = 0; i < width; i++, at++) sum += rows[at]! * rows[at]!;
    groups[groupOf[row]!]! += sum;
  }
}

/** (codes − zero points) · scales, [out, in]. */
export function dequantize(
  { outFeatures, inFeatures, scheme, codes, scales, zeroPoints }: QuantizedLinear,
  values: Float32Array = new Float32Array(outFeatures * inFeatures),
): Float32Array {
  const width = groupWidth(scheme, inFeatures);
  const groups = inFeatures / width;
  for (let group = 0; group < outFeatures * groups; group++) {
    const scale = scales[group]!;
    const zero = zeroPoints === null ? 0 : zeroPoints[group]!;
    for (let at = group * width; at < (group + 1) * width; at++) values[at] = (codes[at]! - zero) * scale;
  }
  return values;
}
