import { fillByShares } from './balance-fill.js';
import { createCellTracker, createGainTracker } from './balance-gains.js';
import { giveBack } from './balance-give-back.js';
import { takeGreedily } from './balance-greedy.js';
import { prepare, startSelection, type BalanceOptions, type SelectionProblem } from './balance-problem.js';
import { finishSelection, objectiveOf, type Choice, type Selection } from './balance-result.js';
import { createSelectionState } from './balance-state.js';

export type { BalanceOptions } from './balance-problem.js';
export type { Choice, Selection } from './balance-result.js';

/**
 * Chooses the sequences that maximise Σ_cells min(routed, floor·m)/(floor·m) under the token budget and the quotas.
 *
 * The objective is monotone and submodular: for sequences of one length greedy reaches (1 − 1/e) of the best (Nemhauser,
 * Wolsey, Fisher 1978), half of it under quotas. For unequal lengths the better of greedy by gain and greedy by gain per
 * token is taken (Leskovec et al. 2007). What turns out not to be needed is given back before the rest is spent.
 *
 * @throws InputError when must-include rows do not fit, or the options contradict each other
 */
export function selectBalanced(options: BalanceOptions): Selection {
  const problem = prepare(options);
  const perToken = run(problem, problem.tokens);
  const oneLength = problem.tokens.every((tokens) => tokens === problem.tokens[0]);
  const plain = oneLength ? perToken : run(problem, problem.ones);
  const { order, state } = plain.objective > perToken.objective + 1e-12 ? plain : perToken;
  return finishSelection(problem, order, state);
}

/** Tells anew of rows chosen before, in their order, when more is known of their counts. */
export function describeChoices(options: BalanceOptions, chosen: readonly Choice[]): Selection {
  const problem = prepare(options);
  const tracker = createCellTracker(options.counts, new Float64Array(options.counts.cellCount));
  const limits = { budget: Infinity, languages: {}, categories: {} };
  const state = createSelectionState(options.candidates, limits, tracker);
  for (const { index } of chosen) state.add(index);
  return finishSelection(problem, [...chosen], state);
}

function run(problem: SelectionProblem, costs: Float64Array) {
  const { target, pool, ranks, options } = problem;
  const tracker = createGainTracker(target, new Float64Array(target.counts.cellCount));
  const { state, order } = startSelection(problem, tracker);
  const step = { state, pool, costs, ranks };
  const wanted = takeGreedily({
    ...step,
    mayTake: (index) => state.isWanted(index) && state.fits(index),
    evenWithoutGain: true,
  });
  order.push(...wanted.map((index) => ({ index, reason: 'quota' }) as const));
  const mayTake = (index: number): boolean => state.fits(index);
  let balanced = takeGreedily({ ...step, mayTake });
  balanced = giveBack({ ...target, costs: problem.tokens }, state, balanced);
  balanced.push(...takeGreedily({ ...step, mayTake }));
  order.push(...balanced.map((index) => ({ index, reason: 'balance' }) as const));
  if (options.fill !== undefined) {
    const filled = fillByShares(problem, state, options.fill);
    order.push(...filled.map((index) => ({ index, reason: 'fill' }) as const));
  }
  return { state, order, objective: objectiveOf(target, state.tracker.has) };
}
