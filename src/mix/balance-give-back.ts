import type { CellTarget } from './balance-gains.js';
import type { SelectionState } from './balance-state.js';

export interface GiveBack extends Pick<CellTarget, 'counts' | 'target'> {
  /** [sequences]; the costliest go first. */
  readonly costs: Float64Array;
}

/** Drops what later choices made superfluous: no cell falls under the target by it. Returns what stays, in its order. */
export function giveBack(
  { counts, target, costs }: GiveBack,
  state: SelectionState,
  taken: readonly number[],
): number[] {
  const isSuperfluous = (index: number): boolean => {
    for (let j = counts.offsets[index]!; j < counts.offsets[index + 1]!; j++) {
      if (state.tracker.has[counts.cells[j]!]! - counts.counts[j]! < target) return false;
    }
    return true;
  };
  for (const index of taken.toSorted((a, b) => costs[b]! - costs[a]! || a - b)) {
    if (!isSuperfluous(index)) continue;
    state.remove(index);
    if (state.isWanted(index)) state.add(index);
  }
  return taken.filter((index) => state.chosen[index] === 1);
}
