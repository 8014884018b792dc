/** Tokens that every expert of a layer sees for its layer-wide statistics, evenly spaced; see docs/results.md. */
export const FORCED_SAMPLE = 1024;

/** `count` of `total` positions, evenly spaced: a sample that depends on nothing but the number of tokens. */
export function evenSample(total: number, count: number): Int32Array {
  const size = Math.min(total, count);
  return Int32Array.from({ length: size }, (_, i) => Math.floor(((i + 0.5) * total) / size));
}
