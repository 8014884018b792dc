import type { ExpertRows, ExpertSink } from '../runtime/expert-runner.js';
import { gemm } from '../runtime/matrix.js';
import type { RowStore } from '../runtime/row-store.js';
import type { Scratch } from '../runtime/scratch.js';
import type { ExpertAssignments, SharedRouting } from './jobs.js';

/** The inputs of one expert, in token order, read where they lie. */
export interface RoutedRows extends ExpertRows {
  readonly tokens: Int32Array;
  readonly width: number;
  /** Copies single ones of the rows, by their position among `tokens`. */
  pick(positions: Int32Array, target: Float32Array): void;
}

export interface RoutedFrom {
  readonly routing: SharedRouting;
  readonly assignments: ExpertAssignments;
}

export function routedRows(
  input: RowStore,
  topK: number,
  expert: number,
  { routing, assignments: { offsets, slots } }: RoutedFrom,
): RoutedRows {
  const own = new Int32Array(slots).subarray(offsets[expert], offsets[expert + 1]);
  const weights = new Float32Array(routing.weights);
  return rowsOfTokens(
    input,
    own.map((slot) => Math.floor(slot / topK)),
    Float32Array.from(own, (slot) => weights[slot]!),
  );
}

/** Adds an expert's outputs to its tokens' rows of an accumulator. */
export function addTo(accumulator: RowStore, { tokens }: RoutedRows): NonNullable<ExpertSink['sum']> {
  return {
    read: (from, count, target) => accumulator.gather(tokens.subarray(from, from + count), target),
    write: (from, count, sums) => accumulator.scatter(tokens.subarray(from, from + count), sums),
  };
}

/** Rows of tokens that an expert is made to see, each with full weight. */
export function forcedRows(input: RowStore, tokens: Int32Array): RoutedRows {
  return rowsOfTokens(input, tokens, new Float32Array(tokens.length).fill(1));
}

function rowsOfTokens(input: RowStore, tokens: Int32Array, routing: Float32Array): RoutedRows {
  return {
    tokens,
    routing,
    width: input.width,
    read: (from, count, target) => input.gather(tokens.subarray(from, from + count), target),
    pick: (positions, target) =>
      input.gather(
        positions.map((position) => tokens[position]!),
        target,
      ),
  };
}

/** The rows as gate and up see them where a family weights an expert's input. */
export function weightedRows(rows: RoutedRows, factors: Float32Array): RoutedRows {
  const { width } = rows;
  return {
    ...rows,
    read(from, count, target) {
      rows.read(from, count, target);
      scaleRows(target, width, factors.subarray(from, from + count));
    },
    pick(positions, target) {
      rows.pick(positions, target);
      scaleRows(
        target,
        width,
        Float32Array.from(positions, (position) => factors[position]!),
      );
    },
  };
}

/** Multiplies each row by its factor, in place. */
export function scaleRows(rows: Float32Array, width: number, factors: Float32Array): void {
  for (let row = 0, at = 0; row < factors.length; row++) {
    const factor = factors[row]!;
    for (const end = at + width; at < end; at++) rows[at]! *= factor;
  }
}

/** Rows multiplied at once. */
const GRAM_ROWS = 2048;

/** Σ xxᵀ over rows, [width, width]. */
export async function gramOfRows(
  rows: Pick<ExpertRows, 'read'>,
  count: number,
  width: number,
  scratch: Scratch,
): Promise<Float32Array> {
  const gram = new Float32Array(width * width);
  for (let from = 0; from < count; from += GRAM_ROWS) {
    const k = Math.min(GRAM_ROWS, count - from);
    const x = scratch.floats('gram-rows', k * width);
    rows.read(from, k, x);
    await gemm(x, x, { m: width, n: width, k }, { transA: true, addend: gram, out: gram });
  }
  return gram;
}
