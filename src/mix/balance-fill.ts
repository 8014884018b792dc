import type { SelectionProblem } from './balance-problem.js';
import type { SelectionState } from './balance-state.js';

/**
 * Spends the rest of the budget by shares: always for the language (or other group, see `fillGroups`) that is furthest
 * behind, its candidates in an order that the seed decides. Returns what was taken, in order.
 *
 * @param shares relative weight of every group; `default` stands for the others, 1 when left out
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
  const groupOf = (index: number): string => options.fillGroups?.[index] ?? options.candidates[index]!.language;
  options.candidates.forEach(({ tokens: length }, i) => {
    if (state.chosen[i] === 1) used.set(groupOf(i), (used.get(groupOf(i)) ?? 0) + length);
  });
  const byRank = pool.toSorted((a, b) => ranks[b]! - ranks[a]! || b - a);
  for (const index of byRank) {
    if (state.chosen[index] === 1) continue;
    const group = groupOf(index);
    if ((weights.get(group) ?? fallback) <= 0) continue;
    const queue = queues.get(group);
    if (queue === undefined) queues.set(group, [index]);
    else queue.push(index);
  }
  const taken: number[] = [];
  while (queues.size > 0) {
    let [next, least] = ['', Infinity];
    for (const group of queues.keys()) {
      const progress = (used.get(group) ?? 0) / (weights.get(group) ?? fallback);
      if (progress < least || (progress === least && group < next)) [next, least] = [group, progress];
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
