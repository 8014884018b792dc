import type { ExpertRows, ExpertSink } from '../runtime/expert-runner.js';
import type { RowStore } from '../runtime/row-store.js';
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
  const tokens = new Int32Array(own.length);
  const factors = new Float32Array(own.length);
  readSlots(own, topK, weights, tokens, factors);
  return rowsOfTokens(input, tokens, factors);
}

function readSlots(
  slots: Int32Array,
  topK: number,
  weights: Float32Array,
  tokens: Int32Array,
  factors: Float32Array,
): void {
  for (let i = 0; i < slots.length; i++) {
    const slot = slots[i]!;
    tokens[i] = Math.floor(slot / topK);
    factors[i] = weights[slot]!;
  }
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

/** Multiplies each row by its factor, in place. */
export function scaleRows(rows: Float32Array, width: number, factors: Float32Array): void {
  for (let row = 0, at = 0; row < factors.length; row++) {
    const factor = factors[row]!;
    for (const end = at + width; at < end; at++) rows[at]! *= factor;
  }
}
