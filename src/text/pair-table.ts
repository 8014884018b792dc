/** What two neighbouring symbols merge to, and how soon. */
export interface PairTable {
  /** Place of a pair in `slots`; −1 when it does not merge. Symbols that are no token are negative, and never merge. */
  readonly find: (left: number, right: number) => number;
  /** At a place: left, right, rank, merged. */
  readonly slots: Uint32Array;
}

const SLOT = 4;
export const RANK = 2;
export const MERGED = 3;
const EMPTY = 0xffff_ffff;

/** A merge as `tokenizer.json` writes it: `"a b"`, in newer files `["a", "b"]`. */
export type DeclaredMerge = string | readonly [string, string];

/**
 * The merges of a vocabulary by pairs of ids: half a million of them take 16 MB, where a map of objects takes five times as
 * much, in every thread.
 *
 * @returns null when a part of some merge is not in the vocabulary
 */
export function createPairTable(merges: readonly DeclaredMerge[], ids: ReadonlyMap<string, number>): PairTable | null {
  let capacity = 1024;
  while (capacity < 1.5 * merges.length) capacity *= 2;
  const slots = new Uint32Array(capacity * SLOT).fill(EMPTY);
  const placeOf = (left: number, right: number): number => {
    let hash = Math.imul(left, 0x9e37_79b1) ^ Math.imul(right, 0x85eb_ca6b);
    hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d);
    let place = ((hash ^ (hash >>> 13)) & (capacity - 1)) * SLOT;
    while (slots[place] !== EMPTY && (slots[place] !== left || slots[place + 1] !== right))
      place = (place + SLOT) & (capacity * SLOT - 1);
    return place;
  };
  for (const [rank, merge] of merges.entries()) {
    const [left = '', right = ''] = typeof merge === 'string' ? merge.split(' ', 2) : merge;
    const [a, b, merged] = [ids.get(left), ids.get(right), ids.get(left + right)];
    if (a === undefined || b === undefined || merged === undefined) return null;
    const place = placeOf(a, b);
    slots[place] = a;
    slots[place + 1] = b;
    // Of a merge listed twice the later rank counts, as in the library's map and the reference's.
    slots[place + RANK] = rank;
    slots[place + MERGED] = merged;
  }
  return {
    slots,
    find: (left, right) => {
      if (left < 0 || right < 0) return -1;
      const place = placeOf(left, right);
      return slots[place] === EMPTY ? -1 : place;
    },
  };
}
