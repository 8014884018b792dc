import { addCounts, transposeCounts, type SparseCounts } from './balance-counts.js';

/** The objective Σ_cells weight · min(routed, target), over a pool. */
export interface CellTarget {
  readonly counts: SparseCounts;
  readonly target: number;
  /** [cells] */
  readonly weights: Float64Array;
}

/** What every sequence would add to the objective, kept exact while sequences come and go. */
export interface GainTracker {
  /** Routed tokens of every cell so far. */
  readonly has: Float64Array;
  /** [sequences], in weighted tokens; null where nobody asks for them. */
  readonly gains: Float64Array | null;
  move(index: number, sign: 1 | -1): void;
}

/**
 * Gains change only in cells so near the target that a sequence's tokens no longer all count; those are found through
 * the columns. Over a whole selection that is a few visits of every count, while lazy greedy (Minoux 1978), which makes
 * the same choices, looks at nearly every sequence for every choice when the pool is even: 40 s against 2 s for 10,000
 * sequences × 6,144 cells.
 */
export function createGainTracker({ counts, target, weights }: CellTarget, has: Float64Array): GainTracker {
  const wanted = Uint8Array.from(has, (routed, cell) => (routed < target && weights[cell]! > 0 ? 1 : 0));
  const columns = transposeCounts(counts, wanted);
  const gains = new Float64Array(counts.sequences);
  const columnMax = new Float64Array(counts.cellCount);
  for (let cell = 0; cell < counts.cellCount; cell++) {
    const room = target - has[cell]!;
    const weight = weights[cell]!;
    for (let j = columns.offsets[cell]!; j < columns.offsets[cell + 1]!; j++) {
      const tokens = columns.counts[j]!;
      if (tokens > columnMax[cell]!) columnMax[cell] = tokens;
      if (room > 0) gains[columns.cells[j]!]! += Math.min(tokens, room) * weight;
    }
  }
  /** The room of a cell shrinks (or grows back) between `low` and `high`, 0 ≤ low < high. */
  const shift = (cell: number, low: number, high: number, sign: 1 | -1): void => {
    const weight = weights[cell]! * sign;
    for (let j = columns.offsets[cell]!; j < columns.offsets[cell + 1]!; j++) {
      const tokens = columns.counts[j]!;
      if (tokens > low) gains[columns.cells[j]!]! -= (Math.min(tokens, high) - low) * weight;
    }
  };
  return {
    has,
    gains,
    move(index, sign) {
      for (let j = counts.offsets[index]!; j < counts.offsets[index + 1]!; j++) {
        const cell = counts.cells[j]!;
        const before = has[cell]!;
        const after = before + sign * counts.counts[j]!;
        has[cell] = after;
        const low = Math.max(0, target - Math.max(before, after));
        const high = Math.min(columnMax[cell]!, Math.max(0, target - Math.min(before, after)));
        if (low < high) shift(cell, low, high, sign);
      }
    },
  };
}

/** Follows the cells alone, for selections that look at nothing else. */
export function createCellTracker(counts: SparseCounts, has: Float64Array): GainTracker {
  return { has, gains: null, move: (index, sign) => addCounts(counts, has, index, sign) };
}

/** What a sequence would add to cells that have `has`, in weighted tokens. */
export function gainOf({ counts, target, weights }: CellTarget, has: Float64Array, index: number): number {
  const { offsets, cells, counts: tokens } = counts;
  let gain = 0;
  for (let j = offsets[index]!; j < offsets[index + 1]!; j++) {
    const room = target - has[cells[j]!]!;
    if (room > 0) gain += Math.min(tokens[j]!, room) * weights[cells[j]!]!;
  }
  return gain;
}
