import type { SelectionProblem } from './balance-problem.js';
import type { SelectionState } from './balance-state.js';

/**
 * Spends the rest of the budget by language: always the one furthest behind its share, its candidates in an order that
 * the seed decides. Returns what was taken, in order.
 *
 * @param shares relative weight of every language; `default` stands for the others, 1 when left out
 */
export function fillByShares(
  { options, pool, ranks, tokens }: SelectionProblem,
  state: SelectionState,
  shares: Readonly<Record<string, number>>,
): number[] {
  const weights = new Map(Object.entries(shares));
  const fallback = weights.get('default') ?? 1;
  const queues = new Map<string, number[]>();
  const used = new Map<string, number>();
  options.candidates.forEach(({ language, tokens: length }, i) => {
    if (state.chosen[i] === 1) used.set(language, (used.get(language) ?? 0) + length);
  });
  const byRank = pool.toSorted((a, b) => ranks[b]! - ranks[a]! || b - a);
  for (const index of byRank) {
    if (state.chosen[index] === 1) continue;
    const { language } = options.candidates[index]!;
    if ((weights.get(language) ?? fallback) <= 0) continue;
    const queue = queues.get(language);
    if (queue === undefined) queues.set(language, [index]);
    else queue.push(index);
  }
  const taken: number[] = [];
  while (queues.size > 0) {
    let [next, least] = ['', Infinity];
    for (const language of queues.keys()) {
      const progress = (used.get(language) ?? 0) / (weights.get(language) ?? fallback);
      if (progress < least || (progress === least && language < next)) [next, least] = [language, progress];
    }
    const index = queues.get(next)!.pop();
    if (index === undefined) {
      queues.delete(next);
      continue;
    }
    if (!state.fits(index)) continue;
    state.add(index);
    used.set(next, (used.get(next) ?? 0) + tokens[index]!);
    taken.push(index);
  }
  return taken;
}
