import { gemm } from '../runtime/matrix.js';
import { diagonalBlock } from './layout.js';
import { BLOCK, rowAt, setParameters, type WorkingLinear } from './working-linear.js';

/** What is tried of a group's range: shares of it, then steps [low end, high end] about each row's winner, round by round. */
interface RangeSearch {
  readonly shares: readonly number[];
  readonly rounds: readonly (readonly (readonly [number, number])[])[];
}

/** Both ends move as one. */
const SYMMETRIC: RangeSearch = {
  shares: [1, 1.1, 0.9, 0.8, 0.7, 0.6, 0.5],
  rounds: [[-0.05, 0.05, -0.025, 0.025].map((step) => [step, step] as const)],
};

/** Either end by itself, which reaches what lies beyond these shares. */
const ASYMMETRIC: RangeSearch = {
  shares: [1, 0.9, 0.8, 0.7],
  rounds: [0.08, 0.04].map(
    (step) =>
      [
        [-step, 0],
        [step, 0],
        [0, -step],
        [0, step],
      ] as const,
  ),
};

/** Ranges tried per group. */
export const CLIPPING_RANGES = { symmetric: tried(SYMMETRIC), asymmetric: tried(ASYMMETRIC) };

function tried({ shares, rounds }: RangeSearch): number {
  return shares.length + rounds.flat().length;
}

/** Min–max parameters per row and group. */
export function fitRange(linear: WorkingLinear): void {
  const { kernel, lanes, width, groups, weight, scales, zeros } = linear;
  const least = kernel.floats(lanes);
  const most = kernel.floats(lanes);
  const base = kernel.floats(2 * lanes).fill(1);
  for (let group = 0; group < groups; group++) {
    kernel.extremes(rowAt(linear, weight, group * width), width, lanes, least.byteOffset, most.byteOffset);
    const into = [rowAt(linear, scales, group), rowAt(linear, zeros, group)] as const;
    setParameters(linear, { least, most }, { base, low: 0, high: 0 }, ...into);
  }
}

/**
 * Per row and group, the share of the min–max range whose rounding error δ has the least δ G_gg δᵀ, G_gg being the
 * group's block of the Gram (for groups wider than 128 channels, its blocks of 128 along the diagonal). Coarse to fine:
 * shares of the range, then finer steps about the winner of each row, for asymmetric schemes at either end by itself. At most
 * 2 % above the best of all shares from 0.45 to 1.1 (test/awq/clipping.test.ts). Without a Gram, the least δδᵀ.
 */
export async function fitClippedRange(linear: WorkingLinear, gram: Float32Array | null): Promise<void> {
  fitRange(linear);
  const { kernel, lanes, width, groups, inFeatures, levels, weight, scales, zeros } = linear;
  const { shares, rounds } = levels.mode === 2 ? ASYMMETRIC : SYMMETRIC;
  const [least, most, scale, zero] = rows(linear);
  const [loss, bestLoss] = [kernel.floats(lanes), kernel.floats(lanes)];
  const [best, base] = [kernel.floats(2 * lanes), kernel.floats(2 * lanes)];
  const widest = Math.min(width, BLOCK);
  const error = kernel.floats(width * lanes);
  const product = kernel.floats(widest * lanes);
  const block = kernel.floats(widest * widest);

  const measure = async (first: number): Promise<void> => {
    loss.fill(0);
    if (gram === null) {
      kernel.laneDot(error.byteOffset, error.byteOffset, width, lanes, loss.byteOffset);
      return;
    }
    for (let at = 0; at < width; at += widest) {
      const size = Math.min(widest, width - at);
      const square = block.subarray(0, size * size);
      if (width > widest) diagonalBlock(gram, inFeatures, first + at, size, square);
      const part = error.subarray(at * lanes, (at + size) * lanes);
      await gemm(square, part, { m: size, n: lanes, k: size }, { out: product.subarray(0, size * lanes) });
      kernel.laneDot(part.byteOffset, product.byteOffset, size, lanes, loss.byteOffset);
    }
  };

  for (let group = 0; group < groups; group++) {
    const first = group * width;
    const channels = rowAt(linear, weight, first);
    const [scaleAt, zeroAt] = [rowAt(linear, scales, group), rowAt(linear, zeros, group)];
    if (gram !== null && width <= widest)
      diagonalBlock(gram, inFeatures, first, width, block.subarray(0, width * width));
    kernel.extremes(channels, width, lanes, least.byteOffset, most.byteOffset);
    const attempt = async (low: number, high: number): Promise<void> => {
      setParameters(linear, { least, most }, { base, low, high }, scale.byteOffset, zero.byteOffset);
      kernel.roundGroup(channels, width, lanes, scale.byteOffset, zero.byteOffset, levels.half, 0, error.byteOffset);
      await measure(first);
      const now = [loss.byteOffset, base.byteOffset, low, high, scale.byteOffset, zero.byteOffset] as const;
      kernel.keepBetter(lanes, ...now, bestLoss.byteOffset, best.byteOffset, scaleAt, zeroAt);
    };
    bestLoss.fill(Infinity);
    best.fill(1);
    base.fill(0);
    for (const share of shares) await attempt(share, share);
    for (const round of rounds) {
      base.set(best);
      for (const [low, high] of round) await attempt(low, high);
    }
  }
}

function rows({ kernel, lanes }: WorkingLinear): [Float32Array, Float32Array, Float32Array, Float32Array] {
  return [kernel.floats(lanes), kernel.floats(lanes), kernel.floats(lanes), kernel.floats(lanes)];
}
