import { groupWidth } from './layout.js';
import type { Scheme } from './scheme.js';

/**
 * Shrinks an expert's statistics towards its layer's: (Σ_routed + κ·layer) / (n + κ), for Grams and for mean |x| alike.
 * κ counts tokens: 0 is routed only, Infinity the layer alone.
 *
 * @param routedSum Σ over the expert's routed tokens of xxᵀ, or of |x|
 * @param tokens routed tokens n behind the sum
 * @param layerMean the same statistic of the whole layer, as a mean
 * @param target where the mean goes; may be `routedSum`
 * @returns the mean, or null when no token stands behind it (n = 0 and κ = 0)
 */
export function shrink(
  routedSum: Float32Array,
  tokens: number,
  layerMean: Float32Array | null,
  kappa: number,
  target: Float32Array = new Float32Array(routedSum.length),
): Float32Array | null {
  if (layerMean !== null && layerMean.length !== routedSum.length)
    throw new RangeError('Statistics to shrink differ in length');
  if (kappa === Infinity) {
    if (layerMean !== null) target.set(layerMean);
    return layerMean === null ? null : target;
  }
  const weight = layerMean === null ? 0 : kappa;
  if (tokens + weight === 0) return null;
  const own = 1 / (tokens + weight);
  if (layerMean === null || weight === 0) {
    for (let i = 0; i < target.length; i++) target[i] = routedSum[i]! * own;
    return target;
  }
  const others = weight / (tokens + weight);
  for (let i = 0; i < target.length; i++) target[i] = routedSum[i]! * own + layerMean[i]! * others;
  return target;
}

/** Gram of inputs divided by `scales`, D⁻¹GD⁻¹ with D = diag(scales); in place when `target` is `gram`. */
export function smoothGram(
  gram: Float32Array,
  scales: Float32Array,
  target: Float32Array = new Float32Array(gram.length),
): Float32Array {
  const n = scales.length;
  const inverse = scales.map((scale) => 1 / scale);
  for (let row = 0; row < n; row++) {
    const factor = inverse[row]!;
    for (let column = 0, at = row * n; column < n; column++, at++) {
      target[at] = gram[at]! * factor * inverse[column]!;
    }
  }
  return target;
}

/** Running mean over output rows of |W| relative to the largest of its group: AWQ's w_j. Sums add across lanes. */
export interface WeightMagnitude {
  readonly sum: Float64Array;
  rows: number;
}

export function createWeightMagnitude(inFeatures: number): WeightMagnitude {
  return { sum: new Float64Array(inFeatures), rows: 0 };
}

/** Adds one Linear [out, in] of an edge: |W_ij| / (largest |W| in its group + 1e-6), as llm-compressor and AutoAWQ have it. */
export function addWeightMagnitude(
  magnitude: WeightMagnitude,
  weight: Float32Array,
  outFeatures: number,
  inFeatures: number,
  scheme: Scheme,
): void {
  const width = groupWidth(scheme, inFeatures);
  const { sum } = magnitude;
  magnitude.rows += outFeatures;
  for (let from = 0; from < outFeatures * inFeatures; from += width) {
    const channel = from % inFeatures;
    let largest = 0;
    for (let k = 0; k < width; k++) largest = Math.max(largest, Math.abs(weight[from + k]!));
    const inverse = 1 / (largest + 1e-6);
    for (let k = 0; k < width; k++) {
      sum[channel + k] = sum[channel + k]! + Math.abs(weight[from + k]!) * inverse;
    }
  }
}

/** w_j, [in]. */
export function meanWeightMagnitude({ sum, rows }: WeightMagnitude): Float32Array {
  return Float32Array.from(sum, (value) => value / rows);
}
