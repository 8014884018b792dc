import { gemm } from '../runtime/matrix.js';
import { diagonalBlock } from './layout.js';
import { BLOCK, rowAt, type WorkingLinear } from './working-linear.js';

export interface DescentSettings {
  readonly refit: boolean;
  readonly descentSweeps: number;
}

/**
 * Sweeps over the blocks of 128 channels, each time on the exact slope GΔ of the block: first each group's scale steps to
 * its least-squares value (rounded to 16 bits, so only if that still gains), then each code moves to the minimiser of the
 * loss with all others fixed. tr(ΔGΔᵀ) never rises. Updates scales, codes and errors.
 *
 * @returns the loss removed, over the slice
 */
export async function descendCodes(
  linear: WorkingLinear,
  gram: Float32Array,
  { refit, descentSweeps }: DescentSettings,
): Promise<number> {
  const { kernel, lanes, width, levels, codes, error, scales, inFeatures: n } = linear;
  // A scale wider than a block would need the slope of every block at once.
  const refits = refit && width <= BLOCK;
  const sweeps = refits ? Math.max(1, descentSweeps) : descentSweeps;
  if (sweeps === 0) return 0;
  const block = width <= BLOCK && BLOCK % width === 0 ? BLOCK : Math.min(width, BLOCK);
  const slope = kernel.floats(block * lanes);
  const square = kernel.floats(block * block);
  const parameterRows = kernel.integers(n);
  for (let channel = 0; channel < n; channel++) parameterRows[channel] = Math.floor(channel / width) * lanes * 4;
  const refitting = refits ? createRefit(linear, block) : undefined;
  let removed = 0;
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (let start = 0; start < n; start += block) {
      const size = Math.min(block, n - start);
      const rows = slope.subarray(0, size * lanes);
      await gemm(gram.subarray(start * n, (start + size) * n), error, { m: size, n: lanes, k: n }, { out: rows });
      diagonalBlock(gram, n, start, size, square.subarray(0, size * size));
      if (refitting !== undefined)
        removed += await refitScales(linear, refitting, { square, slope: rows, start, size });
      if (sweep < descentSweeps) {
        removed += kernel.descend(
          rowAt(linear, error, start),
          rowAt(linear, codes, start),
          rows.byteOffset,
          size,
          lanes,
          square.byteOffset,
          parameterRows.byteOffset + start * 4,
          scales.byteOffset,
          levels.half,
        );
      }
    }
  }
  return removed;
}

interface Refit {
  readonly centred: Float32Array;
  readonly product: Float32Array;
  readonly bend: Float32Array;
  readonly tilt: Float32Array;
  readonly step: Float32Array;
}

function createRefit({ kernel, lanes, width }: WorkingLinear, block: number): Refit {
  const [centred, product] = [kernel.floats(width * lanes), kernel.floats(block * lanes)];
  const [bend, tilt, step] = [kernel.floats(lanes), kernel.floats(lanes), kernel.floats(lanes)];
  return { centred, product, bend, tilt, step };
}

/** Least-squares step of the scales of each group in a block, one group after the other. Keeps errors and slope exact. */
async function refitScales(
  linear: WorkingLinear,
  { centred, product, bend, tilt, step }: Refit,
  block: { readonly square: Float32Array; readonly slope: Float32Array; readonly start: number; readonly size: number },
): Promise<number> {
  const { kernel, lanes, width, codes, error, scales, zeros, scaleDtype } = linear;
  const { square, slope, start, size } = block;
  let removed = 0;
  for (let first = 0; first < size; first += width) {
    const group = (start + first) / width;
    kernel.centre(rowAt(linear, codes, start + first), rowAt(linear, zeros, group), width, lanes, centred.byteOffset);
    const columns = columnsOf(square, size, first, width);
    await gemm(columns, centred, { m: size, n: lanes, k: width }, { out: product.subarray(0, size * lanes) });
    bend.fill(0);
    tilt.fill(0);
    kernel.laneDot(centred.byteOffset, rowAt(linear, slope, first), width, lanes, tilt.byteOffset);
    kernel.laneDot(centred.byteOffset, rowAt(linear, product, first), width, lanes, bend.byteOffset);
    const isF16 = scaleDtype === 'F16' ? 1 : 0;
    const scaleAt = rowAt(linear, scales, group);
    removed += kernel.stepScale(scaleAt, tilt.byteOffset, bend.byteOffset, lanes, isF16, step.byteOffset);
    const errorAt = rowAt(linear, error, start + first);
    kernel.addScaled(step.byteOffset, centred.byteOffset, errorAt, width, lanes);
    kernel.addScaled(step.byteOffset, product.byteOffset, slope.byteOffset, size, lanes);
  }
  return removed;
}

function columnsOf(square: Float32Array, size: number, first: number, width: number): Float32Array {
  if (width === size) return square.subarray(0, size * size);
  const columns = new Float32Array(size * width);
  for (let row = 0; row < size; row++) {
    columns.set(square.subarray(row * size + first, row * size + first + width), row * width);
  }
  return columns;
}
