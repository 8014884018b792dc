import { addCounts } from './balance-counts.js';
import { describeGaps, type Gaps } from './balance-gaps.js';
import { gainOf, type CellTarget } from './balance-gains.js';
import type { Order, Reason, SelectionProblem } from './balance-problem.js';
import type { SelectionState } from './balance-state.js';

export interface Choice {
  readonly index: number;
  /** Why it was taken. */
  readonly reason: Reason;
  /** What it added to the objective when it was taken, as a part of the whole, 0…1. */
  readonly gain: number;
}

export interface Selection extends Gaps {
  readonly chosen: readonly Choice[];
  readonly tokens: number;
  /** Mean over cells of min(routed, floor · multiple) / (floor · multiple). */
  readonly objective: number;
  /** Candidates that the quality gate refused. */
  readonly refused: number;
}

export function objectiveOf({ target, weights }: CellTarget, has: Float64Array): number {
  let [sum, whole] = [0, 0];
  for (let c = 0; c < has.length; c++) {
    sum += Math.min(has[c]!, target) * weights[c]!;
    whole += target * weights[c]!;
  }
  return whole === 0 ? 1 : sum / whole;
}

/** Replays the choices to tell what each gained, and looks at what is missing still. */
export function finishSelection(problem: SelectionProblem, order: Order, state: SelectionState): Selection {
  const { target, options } = problem;
  const whole = target.weights.reduce((sum, weight) => sum + weight * target.target, 0);
  const { counts } = options;
  const has = new Float64Array(counts.cellCount);
  const chosen = order.map(({ index, reason }): Choice => {
    const gain = whole === 0 ? 0 : gainOf(target, has, index) / whole;
    addCounts(counts, has, index);
    return { index, reason, gain };
  });
  return {
    chosen,
    tokens: state.tokens,
    objective: objectiveOf(target, has),
    refused: problem.refused,
    ...describeGaps(problem, state),
  };
}
