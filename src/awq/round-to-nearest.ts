import { decodeHalf, encodeHalf, type Half } from '../checkpoint/half.js';
import { groupWidth } from './layout.js';
import type { Scheme } from './scheme.js';
import { SCALE_EPSILON } from './settings.js';

/**
 * compressed-tensors' own round-to-nearest, dequantized in place: the baseline that a calibrated checkpoint has to beat.
 * Symmetric s = max|w| / 7.5; asymmetric s = (max − min) / 15 with 0 in the range, z = round(clamp(−8 − min/s)).
 *
 * @param weight [out, in], replaced by what a runtime would compute with
 */
export function roundToNearest(weight: Float32Array, inFeatures: number, scheme: Scheme, dtype: Half): Float32Array {
  const width = groupWidth(scheme, inFeatures);
  const half = 2 ** (scheme.bits - 1);
  const groups = weight.length / width;
  const scales = new Float32Array(groups);
  const lows = new Float32Array(groups);
  for (let group = 0; group < groups; group++) {
    let [low, high] = [0, 0];
    for (let at = group * width; at < (group + 1) * width; at++) {
      low = Math.min(low, weight[at]!);
      high = Math.max(high, weight[at]!);
    }
    lows[group] = low;
    scales[group] = scheme.symmetric ? Math.max(-low, high) / (half - 0.5) : (high - low) / (2 * half - 1);
    if (scales[group] === 0) scales[group] = SCALE_EPSILON[dtype];
  }
  const stored = decodeHalf(encodeHalf(scales, dtype), dtype);
  for (let group = 0; group < groups; group++) {
    const scale = stored[group]!;
    const zero = scheme.symmetric ? 0 : roundEven(clamp(-half - lows[group]! / scale, half));
    for (let at = group * width; at < (group + 1) * width; at++) {
      weight[at] = (clamp(roundEven(weight[at]! / scale + zero), half) - zero) * scale;
    }
  }
  return weight;
}

function clamp(value: number, half: number): number {
  return Math.min(half - 1, Math.max(-half, value));
}

/** Halves to the even neighbour, as torch.round does. */
function roundEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
