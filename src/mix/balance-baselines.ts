import { createCellTracker, type GainTracker } from './balance-gains.js';
import { fillByShares } from './balance-fill.js';
import { prepare, startSelection, type BalanceOptions } from './balance-problem.js';
import { finishSelection, type Selection } from './balance-result.js';

/** What anyone would do first: rows in an order that the seed decides, as long as they fit. */
export function selectRandom(options: BalanceOptions): Selection {
  const problem = prepare(options);
  const { state, order } = startSelection(problem, blindTracker(options));
  for (const index of problem.pool.toSorted((a, b) => problem.ranks[a]! - problem.ranks[b]! || a - b)) {
    if (state.chosen[index] === 1 || !state.fits(index)) continue;
    state.add(index);
    order.push({ index, reason: 'fill' });
  }
  return finishSelection(problem, order, state);
}

/** Languages by their shares, rows within a language by the seed, blind to experts. */
export function selectByQuota(options: BalanceOptions): Selection {
  const problem = prepare(options);
  const { state, order } = startSelection(problem, blindTracker(options));
  const filled = fillByShares(problem, state, options.fill ?? {});
  order.push(...filled.map((index) => ({ index, reason: 'fill' }) as const));
  return finishSelection(problem, order, state);
}

function blindTracker({ counts }: BalanceOptions): GainTracker {
  return createCellTracker(counts, new Float64Array(counts.cellCount));
}
