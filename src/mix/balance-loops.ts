/** Tokens of an n-gram, and the share of repeated ones above which a sequence loops: as for the words of a text. */
const NGRAM = 8;
const MOST_REPEATED = 0.6;
/** Shorter sequences are no loops, whatever they repeat. */
const LEAST_TOKENS = 100;
/** Odd, for a polynomial hash modulo 2³²; a collision moves the share by one n-gram. */
const BASE = 0x01000193;

/** Whether token ids repeat themselves as looped text does; see `degenerate` for the same question about text. */
export function isLoopedTokens(ids: Int32Array): boolean {
  return repeatedTokenShare(ids) > MOST_REPEATED;
}

/** Share of token n-grams seen before in the same sequence. */
export function repeatedTokenShare(ids: Int32Array): number {
  if (ids.length < LEAST_TOKENS) return 0;
  let first = 1;
  for (let i = 1; i < NGRAM; i++) first = Math.imul(first, BASE);
  const seen = new Set<number>();
  let hash = 0;
  for (let i = 0; i < ids.length; i++) {
    if (i >= NGRAM) hash = (hash - Math.imul(ids[i - NGRAM]! + 1, first)) | 0;
    hash = (Math.imul(hash, BASE) + ids[i]! + 1) | 0;
    if (i >= NGRAM - 1) seen.add(hash);
  }
  return 1 - seen.size / (ids.length - NGRAM + 1);
}
