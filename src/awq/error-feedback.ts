import { gemm } from '../runtime/matrix.js';
import type { GramFactor } from './gram-factor.js';
import { PANEL } from './gram-factor.js';
import { rowAt, type WorkingLinear } from './working-linear.js';

/**
 * GPTQ (Frantar et al. 2022) with fixed group parameters: visits columns in the factor's order and rounds each one to
 * the code that minimises tr(ΔHΔᵀ) given the errors already made, H being the damped Gram. Sets codes; errors are left
 * for `measureErrors`.
 *
 * @returns tr(ΔHΔᵀ) over the slice
 */
export async function feedErrorsForward(linear: WorkingLinear, factor: GramFactor): Promise<number> {
  const { kernel, lanes, width, levels, weight, codes, scales, zeros, inFeatures: n } = linear;
  // In visiting order from here on; `linear.error` serves as the ordered error until the codes are complete.
  const ordered = kernel.floats(n * lanes);
  const error = linear.error;
  const parameterRows = kernel.integers(n);
  const codeRows = kernel.integers(n);
  for (const [position, channel] of factor.order.entries()) {
    ordered.set(weight.subarray(channel * lanes, (channel + 1) * lanes), position * lanes);
    parameterRows[position] = Math.floor(channel / width) * lanes * 4;
    codeRows[position] = channel * lanes * 4;
  }
  const target = kernel.floats(PANEL * lanes);
  const unit = kernel.floats(PANEL * PANEL);
  const pivots = kernel.floats(PANEL);
  const loss = kernel.floats(lanes);

  for (const panel of factor.panels.toReversed()) {
    const { start, size } = panel;
    const end = start + size;
    const behind = { m: size, n: lanes, k: n - end };
    const goal = target.subarray(0, size * lanes);
    await gemm(panel.below, error.subarray(end * lanes), behind, {
      transA: true,
      addend: ordered.subarray(start * lanes, end * lanes),
      out: goal,
    });
    for (const micro of panel.micros.toReversed()) {
      const first = start + micro.start;
      const last = first + micro.size;
      const part = goal.subarray(micro.start * lanes, (micro.start + micro.size) * lanes);
      const near = { m: micro.size, n: lanes, k: end - last };
      if (near.k > 0) {
        const made = error.subarray(last * lanes, end * lanes);
        await gemm(micro.below, made, near, { transA: true, addend: part, out: part });
      }
      unit.set(micro.unit);
      pivots.set(micro.pivots);
      kernel.feedback(
        part.byteOffset,
        rowAt(linear, ordered, first),
        rowAt(linear, error, first),
        micro.size,
        lanes,
        unit.byteOffset,
        pivots.byteOffset,
        parameterRows.byteOffset + first * 4,
        scales.byteOffset,
        zeros.byteOffset,
        levels.half,
        codeRows.byteOffset + first * 4,
        codes.byteOffset,
        loss.byteOffset,
      );
    }
  }
  return loss.reduce((sum, value) => sum + value, 0);
}
