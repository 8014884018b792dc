import { InputError } from '../errors.js';
import { groupCount, type Scheme } from './scheme.js';

/** Vector width of the kernels times four, so that a row of lanes starts on a cache line. */
const LANE_MULTIPLE = 16;
/** Rows of lanes at this distance fall into the same cache sets. */
const ALIASING_LANES = 512;

/** Output rows padded for the kernels; a multiple of 16 that does not alias in the cache. */
export function laneCount(outFeatures: number): number {
  const lanes = Math.ceil(outFeatures / LANE_MULTIPLE) * LANE_MULTIPLE;
  return lanes % ALIASING_LANES === 0 ? lanes + LANE_MULTIPLE : lanes;
}

/** Input channels per group; throws InputError when groups do not divide the dimension. */
export function groupWidth(scheme: Scheme, inFeatures: number): number {
  const groups = groupCount(scheme, inFeatures);
  if (!Number.isInteger(groups) || groups < 1) {
    throw new InputError(
      `Cannot quantize ${inFeatures} input channels in groups of ${scheme.groupSize}: not divisible`,
    );
  }
  return inFeatures / groups;
}

/**
 * Copies chosen output rows of a weight [out, in] into [in, lanes]; padding lanes become zero.
 *
 * @throws InputError when a value is not finite
 */
export function transposeRows(
  weight: Float32Array,
  inFeatures: number,
  rows: { readonly from: number; readonly count: number; readonly step: number },
  target: Float32Array,
  lanes: number,
): void {
  if (target.length !== inFeatures * lanes) throw new RangeError('Transposed weight has the wrong length');
  const tile = 32;
  let check = 0;
  for (let first = 0; first < lanes; first += tile) {
    const last = Math.min(first + tile, lanes);
    for (let channel = 0; channel < inFeatures; channel += tile) {
      const end = Math.min(channel + tile, inFeatures);
      for (let lane = first; lane < last; lane++) {
        if (lane >= rows.count) {
          for (let k = channel; k < end; k++) target[k * lanes + lane] = 0;
          continue;
        }
        const base = (rows.from + lane * rows.step) * inFeatures;
        for (let k = channel; k < end; k++) {
          const value = weight[base + k]!;
          check += value - value;
          target[k * lanes + lane] = value;
        }
      }
    }
  }
  if (check !== 0) throw new InputError('Cannot quantize a weight with a value that is not finite (NaN or infinity)');
}

/** Copies [in, lanes] codes into rows [from, from + count) of [out, in]. */
export function storeCodes(
  codes: Float32Array,
  inFeatures: number,
  lanes: number,
  target: Int8Array,
  rows: { readonly from: number; readonly count: number },
): void {
  const tile = 32;
  for (let first = 0; first < rows.count; first += tile) {
    const last = Math.min(first + tile, rows.count);
    for (let channel = 0; channel < inFeatures; channel += tile) {
      const end = Math.min(channel + tile, inFeatures);
      for (let lane = first; lane < last; lane++) {
        const base = (rows.from + lane) * inFeatures;
        for (let k = channel; k < end; k++) target[base + k] = codes[k * lanes + lane]!;
      }
    }
  }
}

/** The [size, size] diagonal block of a square matrix, contiguous. */
export function diagonalBlock(
  matrix: Float32Array,
  n: number,
  start: number,
  size: number,
  target: Float32Array,
): void {
  for (let row = 0; row < size; row++) {
    const from = (start + row) * n + start;
    target.set(matrix.subarray(from, from + size), row * size);
  }
}
