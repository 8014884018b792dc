import { InputError } from '../errors.js';
import type { SparseCounts } from './balance-counts.js';
import type { CellTarget, GainTracker } from './balance-gains.js';
import { seededRank } from './balance-order.js';
import { createSelectionState, type BalanceCandidate, type Quotas, type SelectionState } from './balance-state.js';

export interface BalanceOptions {
  readonly candidates: readonly BalanceCandidate[];
  /** Routed tokens of every candidate, in the same order. */
  readonly counts: SparseCounts;
  /** Tokens to choose at most. */
  readonly budget: number;
  readonly floor: number;
  /** Cells are worth filling up to floor × multiple; 1 when left out. */
  readonly multiple?: number;
  /** Worth of every cell, [cells]; all alike when left out. */
  readonly cellWeights?: ArrayLike<number>;
  readonly languages?: Quotas;
  readonly categories?: Quotas;
  /** Chosen first, whatever they gain; they must fit the limits. */
  readonly mustInclude?: readonly number[];
  /** Spend what is left of the budget by these relative shares per language (`default` for the others). */
  readonly fill?: Readonly<Record<string, number>>;
  /** Name of the share that each candidate draws on, in place of its language. */
  readonly fillGroups?: readonly string[];
  /** Quality gate: candidates it refuses are never chosen, because balance alone prefers junk. */
  readonly accepts?: (index: number) => boolean;
  readonly seed: number;
}

/** Why a row was taken. */
export type Reason = 'must' | 'quota' | 'balance' | 'fill';

export interface SelectionProblem {
  readonly options: BalanceOptions;
  readonly target: CellTarget;
  /** Accepted candidates. */
  readonly pool: readonly number[];
  readonly tokens: Float64Array;
  readonly ones: Float64Array;
  readonly ranks: Float64Array;
  readonly refused: number;
}

/** Checks the options and gathers what every way of selecting needs. */
export function prepare(options: BalanceOptions): SelectionProblem {
  const { candidates, counts, cellWeights, multiple = 1, floor, seed, accepts, mustInclude = [] } = options;
  if (counts.sequences !== candidates.length) {
    throw new InputError(`select sequences: counts of ${counts.sequences} for ${candidates.length} candidates`);
  }
  if (!(floor * multiple > 0))
    throw new InputError(`select sequences: wanted floor × multiple above 0, got ${floor * multiple}`);
  const must = new Set(mustInclude);
  const all = candidates.map((_, i) => i);
  const pool = accepts === undefined ? all : all.filter((i) => must.has(i) || accepts(i));
  return {
    options,
    target: {
      counts,
      target: floor * multiple,
      weights: cellWeights === undefined ? new Float64Array(counts.cellCount).fill(1) : Float64Array.from(cellWeights),
    },
    pool,
    tokens: Float64Array.from(candidates, ({ tokens }) => Math.max(1, tokens)),
    ones: new Float64Array(candidates.length).fill(1),
    ranks: Float64Array.from(all, (i) => seededRank(seed, i)),
    refused: all.length - pool.length,
  };
}

/** Rows in the order they were taken, and why. */
export type Order = { readonly index: number; readonly reason: Reason }[];

/** A state that holds the must-include rows. */
export function startSelection(
  { options }: SelectionProblem,
  tracker: GainTracker,
): { state: SelectionState; order: Order } {
  const { candidates, budget, languages = {}, categories = {}, mustInclude = [] } = options;
  const state = createSelectionState(candidates, { budget, languages, categories }, tracker);
  const order: Order = [];
  for (const index of new Set(mustInclude)) {
    const candidate = candidates[index];
    if (candidate === undefined) throw new InputError(`select sequences: must-include row ${index} is not in the pool`);
    if (!state.fits(index)) {
      throw new InputError(
        `select sequences: must-include row ${index} (${candidate.tokens} tokens of '${candidate.language}') does not fit ` +
          `the budget of ${budget} tokens and the quotas`,
      );
    }
    state.add(index);
    order.push({ index, reason: 'must' });
  }
  return { state, order };
}
