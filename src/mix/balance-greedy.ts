import type { SelectionState } from './balance-state.js';

/** Gains under this part of a token are what rounding leaves of nothing, when cells have fractional weights. */
const NO_GAIN = 1e-9;

export interface GreedyStep {
  readonly state: SelectionState;
  /** Candidates to draw from; those that are chosen already are passed over. */
  readonly pool: readonly number[];
  /** What a candidate's gain is divided by: its tokens, or 1. */
  readonly costs: Float64Array;
  /** Breaks ties, the lower first. */
  readonly ranks: Float64Array;
  /** A candidate may be taken; once it may not, it never may again. */
  readonly mayTake: (index: number) => boolean;
  /** Take candidates that gain nothing, too. */
  readonly evenWithoutGain?: boolean;
}

/** Takes the candidate with the largest gain for its cost, again and again. Returns the candidates in the order taken. */
export function takeGreedily({ state, pool, costs, ranks, mayTake, evenWithoutGain = false }: GreedyStep): number[] {
  const { gains } = state.tracker;
  if (gains === null) throw new Error('take greedily: the selection does not follow gains');
  const least = evenWithoutGain ? -1 : NO_GAIN;
  let open = pool.filter((index) => state.chosen[index] === 0);
  const taken: number[] = [];
  for (;;) {
    let [best, bestRate] = [-1, -Infinity];
    const spent = new Set<number>();
    for (const index of open) {
      const gain = gains[index]!;
      if (gain < least) continue;
      const rate = (gain < NO_GAIN ? 0 : gain) / costs[index]!;
      if (rate < bestRate || (rate === bestRate && ranks[index]! >= ranks[best]!)) continue;
      if (mayTake(index)) [best, bestRate] = [index, rate];
      else spent.add(index);
    }
    if (best === -1) return taken;
    state.add(best);
    taken.push(best);
    spent.add(best);
    open = open.filter((index) => !spent.has(index));
  }
}
