import { gemm } from '../runtime/matrix.js';
import { withKernel } from './kernel.js';

/** Positions that share one panel of the factor: wide enough for matrix products, narrow enough for a scalar pivot block. */
export const PANEL = 128;
/** Positions that error feedback visits in one kernel call. */
const MICRO = 32;
const MAX_DAMPING_RETRIES = 6;

/**
 * The damped Gram H in visiting order, factored as H = U·diag(pivots)·Uᵀ with U = `unit`, unit lower triangular. Position
 * n − 1 is visited first. With e the error of each position, eᵀHe = Σ_i pivot_i · (e_i + Σ_{j>i} unit[j][i] · e_j)².
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
  /** Inverse of the unit factor's diagonal block, [size, size]. */
  readonly inverse: Float32Array;
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
 * @param room `factorSize` values that the factor is to lie in; a fresh array when left out
 * @returns null when the Gram is zero: there is nothing to weigh errors by
 */
export async function factorGram(
  gram: Float32Array,
  inFeatures: number,
  settings: FactorSettings,
  room?: Float32Array,
): Promise<GramFactor | null> {
  const diagonal = Float64Array.from({ length: inFeatures }, (_, i) => gram[i * inFeatures + i]!);
  const mean = diagonal.reduce((sum, value) => sum + value, 0) / inFeatures;
  if (!(mean > 0)) return null;
  const order = visitingOrder(diagonal, settings.columnOrder);
  let damping = settings.damping;
  for (let attempt = 0; attempt <= MAX_DAMPING_RETRIES; attempt++, damping = Math.max(damping * 10, 1e-6)) {
    const panels = await factorPanels(gram, inFeatures, order, damping * mean, room);
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

/** Values of a factor. */
export function factorSize(inFeatures: number): number {
  let size = 0;
  for (let start = 0; start < inFeatures; start += PANEL)
    size += (inFeatures - start) * Math.min(PANEL, inFeatures - start);
  return size;
}

function factorPanels(
  gram: Float32Array,
  n: number,
  order: Int32Array,
  added: number,
  room?: Float32Array,
): Promise<FactorPanel[] | null> {
  return withKernel(2 * PANEL * PANEL + n * PANEL, 3, async (kernel) => {
    const block = kernel.floats(PANEL * PANEL);
    const inverse = kernel.floats(PANEL * PANEL);
    const rest = kernel.floats(n * PANEL);
    const panels = gatherPanels(gram, n, order, added, room);
    const inverses: Float32Array[] = [];
    for (const [index, panel] of panels.entries()) {
      const start = index * PANEL;
      const size = Math.min(PANEL, n - start);
      for (const [before, earlier] of panels.slice(0, index).entries()) {
        const skip = (start - before * PANEL) * PANEL;
        const head = earlier.subarray(skip, skip + size * PANEL);
        const shape = { m: n - start, n: size, k: PANEL };
        await gemm(earlier.subarray(skip), head, shape, { transB: true, alpha: -1, addend: panel, out: panel });
      }
      const square = size * size;
      block.set(panel.subarray(0, square));
      if (kernel.factorBlock(block.byteOffset, size, 0, inverse.byteOffset) >= 0) return null;
      panel.set(block.subarray(0, square));
      inverses.push(inverse.slice(0, square));
      const below = panel.subarray(square);
      const solved = rest.subarray(0, below.length);
      solved.set(below);
      const shape = { m: n - start - size, n: size, k: size };
      await gemm(solved, inverse.subarray(0, square), shape, { transB: true, out: below });
    }
    return panels.map((panel, index) => splitPanel(panel, inverses[index]!, index * PANEL, n));
  });
}

/** The reordered, damped Gram's lower triangle as column panels, each from its diagonal down. */
function gatherPanels(
  gram: Float32Array,
  n: number,
  order: Int32Array,
  added: number,
  room: Float32Array = new Float32Array(factorSize(n)),
): Float32Array[] {
  const panels: Float32Array[] = [];
  for (let start = 0, at = 0; start < n; start += PANEL) {
    const size = (n - start) * Math.min(PANEL, n - start);
    panels.push(room.subarray(at, (at += size)));
  }
  // Row by row, so that each row of the Gram is read from memory once.
  for (let row = 0; row < n; row++) {
    const from = order[row]! * n;
    for (let start = 0, index = 0; start <= row; start += PANEL, index++) {
      const panel = panels[index]!;
      const size = Math.min(PANEL, n - start);
      const into = (row - start) * size - start;
      for (let column = start; column < start + size; column++) panel[into + column] = gram[from + order[column]!]!;
      if (row < start + size) panel[into + row]! += added;
    }
  }
  return panels;
}

/** Divides the factor's columns by its diagonal, and cuts the diagonal block for the kernels. */
function splitPanel(factor: Float32Array, inverse: Float32Array, start: number, n: number): FactorPanel {
  const size = Math.min(PANEL, n - start);
  const diagonal = Float32Array.from({ length: size }, (_, i) => factor[i * size + i]!);
  const reciprocal = diagonal.map((value) => 1 / value);
  for (let row = 0; row < n - start; row++) {
    for (let column = 0; column < size; column++) factor[row * size + column]! *= reciprocal[column]!;
  }
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) inverse[row * size + column]! *= diagonal[row]!;
  }
  const columns = (first: number, width: number, from: number, to: number): Float32Array => {
    const part = new Float32Array((to - from) * width);
    for (let row = from; row < to; row++) {
      part.set(factor.subarray(row * size + first, row * size + first + width), (row - from) * width);
    }
    return part;
  };
  const micros: MicroPanel[] = [];
  for (let first = 0; first < size; first += MICRO) {
    const width = Math.min(MICRO, size - first);
    micros.push({
      start: first,
      size: width,
      unit: columns(first, width, first, first + width),
      below: columns(first, width, first + width, size),
      pivots: diagonal.slice(first, first + width).map((value) => value * value),
    });
  }
  return { start, size, below: factor.subarray(size * size), micros, inverse };
}
