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
  for (let o = 0, at = 0; o < outFeatures; o++) {
    const back = outputScales === null ? 1 : outputScales[o]!;
    for (let i = 0; i < inFeatures; i++, at++) {
      delta[at] = (delta[at]! * back) / (inputScales === null ? 1 : inputScales[i]!) - weight[at]!;
    }
  }
  const shape = { m: count, n: outFeatures, k: inFeatures };
  for (const [matrix, into] of [
    [weight, signal],
    [delta, error],
  ] as const) {
    const out = await gemm(rows, matrix, shape, { transB: true });
    for (let row = 0, at = 0; row < count; row++) {
      let sum = 0;
      for (let o = 0; o < outFeatures; o++, at++) sum += out[at]! * out[at]!;
      into[groupOf[row]!]! += sum;
    }
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
