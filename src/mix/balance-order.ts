/** A number 0 … 2³²−1 for every (seed, index): ties and shuffles depend on nothing else (finalizer of MurmurHash3). */
export function seededRank(seed: number, index: number): number {
  let h = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** 0 … n−1 in an order that the seed decides. */
export function seededOrder(seed: number, n: number): number[] {
  const ranks = Float64Array.from({ length: n }, (_, i) => seededRank(seed, i));
  return Array.from({ length: n }, (_, i) => i).sort((a, b) => ranks[a]! - ranks[b]! || a - b);
}
