import { gemm } from '../runtime/matrix.js';
import type { Kernel } from './kernel.js';
import { transposeRows } from './layout.js';
import { SCALE_EPSILON, type Levels } from './settings.js';

/** Channels that one matrix product takes at a time. */
export const BLOCK = 128;

/** A slice of output rows of one Linear in the kernel's memory, transposed: every matrix is [channels or groups, lanes]. */
export interface WorkingLinear {
  readonly kernel: Kernel;
  readonly inFeatures: number;
  readonly lanes: number;
  /** Channels per group. */
  readonly width: number;
  readonly groups: number;
  readonly levels: Levels;
  readonly scaleDtype: 'BF16' | 'F16';
  readonly weight: Float32Array;
  readonly codes: Float32Array;
  /** Dequantized minus weight, once there are codes. */
  readonly error: Float32Array;
  readonly scales: Float32Array;
  readonly zeros: Float32Array;
}

/** f32 values that `createWorkingLinear` and the passes over it take, for `withKernel`. */
export function workingValues(inFeatures: number, lanes: number, width: number): number {
  const matrices = 5 * inFeatures * lanes;
  const parameters = 2 * (inFeatures / width) * lanes;
  const blocks = 7 * BLOCK * lanes + 5 * BLOCK * BLOCK;
  return matrices + parameters + blocks + 32 * lanes + 4 * inFeatures;
}

/** Upper bound on the views that the passes claim. */
export const WORKING_VIEWS = 64;

export function createWorkingLinear(
  kernel: Kernel,
  weight: Float32Array,
  rows: { readonly from: number; readonly count: number },
  shape: Pick<WorkingLinear, 'inFeatures' | 'lanes' | 'width' | 'levels' | 'scaleDtype'>,
): WorkingLinear {
  const { inFeatures, lanes, width } = shape;
  const groups = inFeatures / width;
  const linear: WorkingLinear = {
    ...shape,
    kernel,
    groups,
    weight: kernel.floats(inFeatures * lanes),
    codes: kernel.floats(inFeatures * lanes),
    error: kernel.floats(inFeatures * lanes),
    scales: kernel.floats(groups * lanes),
    zeros: kernel.floats(groups * lanes),
  };
  transposeRows(weight, inFeatures, { from: rows.from, count: rows.count, step: 1 }, linear.weight, lanes);
  return linear;
}

/** Rows [from, to) of a [·, lanes] matrix. */
export function rowsOf({ lanes }: WorkingLinear, matrix: Float32Array, from: number, to: number): Float32Array {
  return matrix.subarray(from * lanes, to * lanes);
}

/** Byte offset of a row of a [·, lanes] matrix. */
export function rowAt({ lanes }: WorkingLinear, matrix: Float32Array, row: number): number {
  return matrix.byteOffset + row * lanes * 4;
}

/** Smallest and largest weight per lane of the group at hand. */
export interface Extremes {
  readonly least: Float32Array;
  readonly most: Float32Array;
}

/** Shares of the two ends of the range: rows of `base` [2, lanes] plus an offset each. Symmetric schemes have the first. */
export interface RangeShares {
  readonly base: Float32Array;
  readonly low: number;
  readonly high: number;
}

/** Scale and zero point of one group from its extremes, shrunk or widened. */
export function setParameters(
  linear: WorkingLinear,
  { least, most }: Extremes,
  { base, low, high }: RangeShares,
  scaleAt: number,
  zeroAt: number,
): void {
  const { kernel, lanes, levels, scaleDtype } = linear;
  const { mode, steps, half } = levels;
  const isF16 = scaleDtype === 'F16' ? 1 : 0;
  const epsilon = SCALE_EPSILON[scaleDtype];
  kernel.parameters(
    least.byteOffset,
    most.byteOffset,
    base.byteOffset,
    low,
    high,
    lanes,
    mode,
    steps,
    half,
    isF16,
    epsilon,
    scaleAt,
    zeroAt,
  );
}

/** Rounds every weight to its group's nearest code, and sets the errors. */
export function roundAll(linear: WorkingLinear): void {
  const { kernel, lanes, width, groups, levels, weight, codes, error, scales, zeros } = linear;
  for (let group = 0; group < groups; group++) {
    const [w, q, e] = [
      rowAt(linear, weight, group * width),
      rowAt(linear, codes, group * width),
      rowAt(linear, error, group * width),
    ];
    kernel.roundGroup(w, width, lanes, rowAt(linear, scales, group), rowAt(linear, zeros, group), levels.half, q, e);
  }
}

/** Sets the errors from the codes. */
export function measureErrors(linear: WorkingLinear): void {
  const { kernel, lanes, width, groups, weight, codes, error, scales, zeros } = linear;
  for (let group = 0; group < groups; group++) {
    const [w, q, e] = [
      rowAt(linear, weight, group * width),
      rowAt(linear, codes, group * width),
      rowAt(linear, error, group * width),
    ];
    kernel.errorOfCodes(w, width, lanes, rowAt(linear, scales, group), rowAt(linear, zeros, group), q, e);
  }
}

/** tr(ΔGΔᵀ) of the errors as they stand, block of channels by block. */
export async function lossOf(linear: WorkingLinear, gram: Float32Array): Promise<number> {
  const { kernel, lanes, error, inFeatures: n } = linear;
  const product = kernel.floats(BLOCK * lanes);
  let loss = 0;
  for (let start = 0; start < n; start += BLOCK) {
    const size = Math.min(BLOCK, n - start);
    const rows = product.subarray(0, size * lanes);
    await gemm(gram.subarray(start * n, (start + size) * n), error, { m: size, n: lanes, k: n }, { out: rows });
    loss += kernel.dot(rowAt(linear, error, start), rows.byteOffset, rows.length);
  }
  return loss;
}
