/** Tokens of an n-gram, and the share of repeated ones above which a sequence loops: as for the words of a text. */
const NGRAM = 8;
const MOST_REPEATED = 0.6;
/** Shorter sequences are no loops, whatever they repeat. */
const LEAST_TOKENS = 100;
/**
 * N-grams of so short a period are rules of tables (a box-drawing letter takes up to three tokens) and say nothing: counted,
 * windows of terminal output in the built-in sets would reach 0.84; without them all sets stay under 0.5.
 */
const LONGEST_RULE = 3;
/** Where rules are more than this of a sequence, it is nothing else. */
const MOST_RULES = 0.9;
/** Odd, for a polynomial hash modulo 2³²; a collision moves the share by one n-gram. */
const BASE = 0x01000193;

/** Whether token ids repeat themselves as looped text does; see `degenerate` for the same question about text. */
export function isLoopedTokens(ids: Int32Array): boolean {
  if (ids.length < LEAST_TOKENS) return false;
  const { grams, rules, repeated } = countRepeats(ids);
  return rules > MOST_RULES * (grams + rules) || repeated > MOST_REPEATED * grams;
}

export interface Repeats {
  /** N-grams that are no rules. */
  readonly grams: number;
  readonly rules: number;
  /** Of `grams`, those that occurred before. */
  readonly repeated: number;
}

export function countRepeats(ids: Int32Array): Repeats {
  let first = 1;
  for (let i = 1; i < NGRAM; i++) first = Math.imul(first, BASE);
  const seen = new Set<number>();
  // Tokens in a row that equal the one so many places before.
  const alike = new Int32Array(LONGEST_RULE + 1);
  let [hash, grams, rules] = [0, 0, 0];
  for (let i = 0; i < ids.length; i++) {
    if (i >= NGRAM) hash = (hash - Math.imul(ids[i - NGRAM]! + 1, first)) | 0;
    hash = (Math.imul(hash, BASE) + ids[i]! + 1) | 0;
    let isRule = false;
    for (let period = 1; period <= LONGEST_RULE; period++) {
      alike[period] = ids[i] === ids[i - period] ? alike[period]! + 1 : 0;
      isRule ||= alike[period]! >= NGRAM - period;
    }
    if (i < NGRAM - 1) continue;
    if (isRule) {
      rules++;
      continue;
    }
    grams++;
    seen.add(hash);
  }
  return { grams, rules, repeated: grams - seen.size };
}
