import { addCounts } from './balance-counts.js';
import { createGainTracker, gainOf, type CellTarget } from './balance-gains.js';
import { takeGreedily } from './balance-greedy.js';
import type { SelectionProblem } from './balance-problem.js';
import { createSelectionState, type SelectionState } from './balance-state.js';

/** What a selection leaves under the floor. */
export interface Gaps {
  readonly missing: readonly MissingCell[];
  /** Candidates left out that would close the gaps, the cheapest per token first. */
  readonly closing: readonly ClosingCandidate[];
}

export interface MissingCell {
  readonly cell: number;
  readonly routed: number;
  readonly missing: number;
  /** Tokens that the whole accepted pool could route to it; under the floor, no selection can save the cell. */
  readonly available: number;
}

export interface ClosingCandidate {
  readonly index: number;
  /** Routed tokens that it brings to cells under the floor. */
  readonly gain: number;
}

/** Looks past budget and quotas for what would have brought every cell to the floor. */
export function describeGaps({ options, target, pool, tokens, ranks }: SelectionProblem, state: SelectionState): Gaps {
  const { counts, floor, candidates } = options;
  const { has } = state.tracker;
  const under = [...has.keys()].filter((cell) => has[cell]! < floor);
  if (under.length === 0) return { missing: [], closing: [] };
  const available = new Float64Array(counts.cellCount);
  for (const index of pool) addCounts(counts, available, index);
  const toFloor: CellTarget = { ...target, target: floor, weights: new Float64Array(counts.cellCount).fill(1) };
  const limitless = { budget: Infinity, languages: {}, categories: {} };
  const beyond = createSelectionState(candidates, limitless, createGainTracker(toFloor, has.slice()));
  const rest = pool.filter((index) => state.chosen[index] === 0);
  const order = takeGreedily({ state: beyond, pool: rest, costs: tokens, ranks, mayTake: () => true });
  const replayed = has.slice();
  return {
    missing: under.map((cell) => ({
      cell,
      routed: has[cell]!,
      missing: floor - has[cell]!,
      available: available[cell]!,
    })),
    closing: order.map((index) => {
      const gain = gainOf(toFloor, replayed, index);
      addCounts(counts, replayed, index);
      return { index, gain };
    }),
  };
}
