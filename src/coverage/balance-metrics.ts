import type { Balance, CoverageSummary } from './coverage.js';

/** The thresholds that the field repeats, shown beside whatever floor is set. */
export const SHOWN_FLOORS = ['16', '64', '256'] as const;

/**
 * Evenness of one layer's routed tokens, [experts]. sigma is MoEQuant's (Hu et al. 2025); all measures of a layer that
 * got no token are those of an even one.
 */
export function balanceOf(routed: ArrayLike<number>): Balance {
  const experts = routed.length;
  let total = 0;
  for (let e = 0; e < experts; e++) total += routed[e]!;
  if (total === 0 || experts === 0) return { sigma: 0, cv: 0, gini: 0, entropy: 1 };
  const rising = Float64Array.from(routed).sort();
  let [squares, ranked, entropy] = [0, 0, 0];
  for (let e = 0; e < experts; e++) {
    const share = rising[e]! / total;
    squares += (share - 1 / experts) ** 2;
    ranked += (2 * (e + 1) - experts - 1) * share;
    if (share > 0) entropy -= share * Math.log(share);
  }
  const sigma = Math.sqrt(squares / experts);
  return {
    sigma,
    cv: sigma * experts,
    gini: ranked / experts,
    entropy: experts === 1 ? 1 : entropy / Math.log(experts),
  };
}

/** Summary of all cells, given each layer's routed tokens. */
export function summarize(layers: readonly ArrayLike<number>[], floor: number): CoverageSummary {
  const cells = layers.reduce((sum, routed) => sum + routed.length, 0);
  const rising = new Float64Array(cells);
  let at = 0;
  for (const routed of layers) {
    rising.set(routed, at);
    at += routed.length;
  }
  rising.sort();
  const below = (limit: number): number => countBelow(rising, limit);
  const balances = layers.map(balanceOf);
  const mean = (measure: keyof Balance, none: number): number =>
    balances.length === 0 ? none : balances.reduce((sum, balance) => sum + balance[measure], 0) / balances.length;
  return {
    cells,
    empty: below(1),
    below: { '16': below(16), '64': below(64), '256': below(256) },
    underFloor: below(floor),
    min: rising[0] ?? 0,
    p01: rising[Math.max(0, Math.ceil(cells * 0.01) - 1)] ?? 0,
    median: medianOf(rising),
    max: rising.at(-1) ?? 0,
    sigma: mean('sigma', 0),
    cv: mean('cv', 0),
    gini: mean('gini', 0),
    entropy: mean('entropy', 1),
  };
}

/** Median of values in rising order; 0 of none. */
export function medianOf(rising: ArrayLike<number>): number {
  const half = rising.length >> 1;
  if (rising.length === 0) return 0;
  return rising.length % 2 === 1 ? rising[half]! : (rising[half - 1]! + rising[half]!) / 2;
}

/** How many of the values, in rising order, are under the limit. */
function countBelow(rising: Float64Array, limit: number): number {
  let [from, to] = [0, rising.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (rising[middle]! < limit) from = middle + 1;
    else to = middle;
  }
  return from;
}
