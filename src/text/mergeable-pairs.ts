/** A hash may take two pairs for one: then a text is cut in fewer places, and nothing else changes. */
const BITS = 23;

/**
 * Cuts a text wherever no token of the vocabulary holds the two characters side by side: no merge ever reaches over such a
 * place, so the pieces may be merged each for itself. SentencePiece vocabularies that have no pre-tokenizer fall into
 * words by it.
 */
export function createPairCutter(tokens: Iterable<string>): (text: string) => string[] {
  const pairs = new Uint32Array(1 << (BITS - 5));
  for (const token of tokens) {
    let before = -1;
    for (const character of token) {
      const point = character.codePointAt(0) ?? 0;
      if (before >= 0) {
        const bit = hashPair(before, point);
        pairs[bit >>> 5] = (pairs[bit >>> 5] ?? 0) | (1 << (bit & 31));
      }
      before = point;
    }
  }
  return (text) => {
    const pieces: string[] = [];
    let start = 0;
    let before = -1;
    for (let at = 0; at < text.length;) {
      const point = text.codePointAt(at) ?? 0;
      const bit = hashPair(before, point);
      if (before >= 0 && ((pairs[bit >>> 5] ?? 0) & (1 << (bit & 31))) === 0) {
        pieces.push(text.slice(start, at));
        start = at;
      }
      before = point;
      at += point > 0xffff ? 2 : 1;
    }
    if (start < text.length) pieces.push(text.slice(start));
    return pieces;
  };
}

function hashPair(first: number, second: number): number {
  const mixed = Math.imul(first, 0x9e37_79b1) ^ Math.imul(second, 0x85eb_ca6b);
  return Math.imul(mixed ^ (mixed >>> 15), 0x2c1b_3c6d) >>> (32 - BITS);
}
