import { gemm } from '../runtime/matrix.js';
import { withKernel, type Kernel } from './kernel.js';

/** Positions that share one panel of the factor: wide enough for matrix products, narrow enough for a scalar pivot block. */
export const PANEL = 128;
/** Positions that error feedback visits in one kernel call. */
const MICRO = 32;
const MAX_DAMPING_RETRIES = 6;

/**
 * H = UᵀD U-like factor of the damped Gram in visiting order: position n − 1 is visited first. With e the error of each
 * position, eᵀHe = Σ_i pivot_i · (e_i + Σ_{j>i} unit[j][i] · e_j)².
 */
export interface GramFactor {
  readonly inFeatures: number;
  /** Channel at each position. */
  readonly order: Int32Array;
  /** What was added to the diagonal. */
  readonly added: number;
  readonly panels: readonly FactorPanel[];
}

export interface FactorPanel {
  readonly start: number;
  readonly size: number;
  /** Unit factor's rows behind this panel, [n − start − size, size]. */
  readonly below: Float32Array;
  readonly micros: readonly MicroPanel[];
}

export interface MicroPanel {
  /** Offset within the panel. */
  readonly start: number;
  readonly size: number;
  /** Unit lower-triangular block [size, size]. */
  readonly unit: Float32Array;
  /** Rows of the panel behind this block, [panel size − start − size, size]. */
  readonly below: Float32Array;
  readonly pivots: Float32Array;
}

export interface FactorSettings {
  /** Share of the mean diagonal that is added to the diagonal. */
  readonly damping: number;
  readonly columnOrder: 'diagonal' | 'stored';
}

/**
 * Factors a Gram [in, in] once for every Linear, and every slice of rows, that reads the same inputs. GPTQ (Frantar et
 * al. 2022) uses a Cholesky factor of H⁻¹; a Cholesky factor of H in reversed visiting order gives the same feedback
 * without inverting anything. A Gram that is still not positive definite in f32 is damped ten times more, repeatedly.
 *
 * @returns null when the Gram is zero: there is nothing to weigh errors by
 */
export async function factorGram(
  gram: Float32Array,
  inFeatures: number,
  settings: FactorSettings,
): Promise<GramFactor | null> {
  const diagonal = Float64Array.from({ length: inFeatures }, (_, i) => gram[i * inFeatures + i]!);
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / inFeatures;
  if (!(mean > 0)) return null;
  const order = visitingOrder(diagonal, settings.columnOrder);
  let damping = settings.damping;
  for (let attempt = 0; attempt <= MAX_DAMPING_RETRIES; attempt++, damping = Math.max(damping * 10, 1e-6)) {
    const panels = await factorPanels(gram, inFeatures, order, damping * mean);
    if (panels !== null) return { inFeatures, order, added: damping * mean, panels };
  }
  throw new RangeError(`Gram of ${inFeatures} channels is not positive semidefinite: is it really XᵀX?`);
}

/** Rising diagonal, because the last position is visited first. */
function visitingOrder(diagonal: Float64Array, columnOrder: 'diagonal' | 'stored'): Int32Array {
  const order = Int32Array.from(diagonal, (_, i) => diagonal.length - 1 - i);
  if (columnOrder === 'diagonal') {
    order.sort((a, b) => diagonal[a]! - diagonal[b]! || b - a);
  }
  return order;
}

function factorPanels(gram: Float32Array, n: number, order: Int32Array, added: number): Promise<FactorPanel[] | null> {
  return withKernel(2 * PANEL * PANEL, 2, async (kernel) => {
    const factors: Float32Array[] = [];
    const block = kernel.floats(PANEL * PANEL);
    const inverse = kernel.floats(PANEL * PANEL);
    for (let start = 0; start < n; start += PANEL) {
      const panel = gatherPanel(gram, n, order, start, added);
      const size = Math.min(PANEL, n - start);
      for (const [index, earlier] of factors.entries()) {
        const skip = (start - index * PANEL) * PANEL;
        const rows = earlier.subarray(skip);
        const head = earlier.subarray(skip, skip + size * PANEL);
        const shape = { m: n - start, n: size, k: PANEL };
        await gemm(rows, head, shape, { transB: true, alpha: -1, addend: panel, out: panel });
      }
      const factored = await finishPanel(
        kernel,
        panel,
        size,
        block.subarray(0, size * size),
        inverse.subarray(0, size * size),
      );
      if (factored === null) return null;
      factors.push(factored);
    }
    return factors.map((factor, index) => splitPanel(factor, index * PANEL, Math.min(PANEL, n - index * PANEL), n));
  });
}

/** Columns [start, start + PANEL) of the reordered, damped Gram from the diagonal down. */
function gatherPanel(gram: Float32Array, n: number, order: Int32Array, start: number, added: number): Float32Array {
  const size = Math.min(PANEL, n - start);
  const panel = new Float32Array((n - start) * size);
  for (let row = start; row < n; row++) {
    const from = order[row]! * n;
    const into = (row - start) * size;
    for (let column = 0; column < size; column++) {
      panel[into + column] = gram[from + order[start + column]!]!;
    }
    if (row < start + size) panel[into + row - start] = panel[into + row - start]! + added;
  }
  return panel;
}

/** Factors the diagonal block and solves the rows below it, or null when a pivot is not positive. */
async function finishPanel(
  kernel: Kernel,
  panel: Float32Array,
  size: number,
  block: Float32Array,
  inverse: Float32Array,
): Promise<Float32Array | null> {
  const rows = panel.length / size;
  block.set(panel.subarray(0, size * size));
  if (kernel.factorBlock(block.byteOffset, size, 0, inverse.byteOffset) >= 0) return null;
  const factored = new Float32Array(rows * size);
  factored.set(block);
  const below = factored.subarray(size * size);
  const shape = { m: rows - size, n: size, k: size };
  await gemm(panel.subarray(size * size), inverse, shape, { transB: true, out: below });
  return factored;
}

function splitPanel(factor: Float32Array, start: number, size: number, n: number): FactorPanel {
  const diagonal = Float32Array.from({ length: size }, (_, i) => factor[i * size + i]!);
  for (let row = 0; row < n - start; row++) {
    for (let column = 0; column < size; column++) {
      factor[row * size + column] = factor[row * size + column]! / diagonal[column]!;
    }
  }
  const micros: MicroPanel[] = [];
  for (let first = 0; first < size; first += MICRO) {
    const width = Math.min(MICRO, size - first);
    const columns = (from: number, to: number) => {
      const part = new Float32Array((to - from) * width);
      for (let row = from; row < to; row++) {
        part.set(factor.subarray(row * size + first, row * size + first + width), (row - from) * width);
      }
      return part;
    };
    micros.push({
      start: first,
      size: width,
      unit: columns(first, first + width),
      below: columns(first + width, size),
      pivots: diagonal.slice(first, first + width).map((value) => value * value),
    });
  }
  return { start, size, below: factor.subarray(size * size), micros };
}
