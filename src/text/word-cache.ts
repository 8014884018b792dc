/** Words of each of two generations: when the younger is full it becomes the older, and the older is forgotten. */
const GENERATION_WORDS = 1 << 16;

/** More ids than this are not remembered: such a word is no word, and its place is told in six bits. */
export const MOST_IDS = 63;
export const ID_BITS = 6;

/** V8 lets a piece of this length point into the text it was cut from, which would keep whole documents alive. */
const SLICED_LENGTH = 13;

interface Generation {
  /** Word → where its ids lie, and how many there are. */
  readonly places: Map<string, number>;
  ids: Int32Array;
  length: number;
}

/** Token ids of words met before. */
export interface WordCache {
  /** Where the word's ids lie in `ids`, times 2⁶, and how many there are; −1 when it is not known. */
  find(word: string): number;
  /** The ids that {@link find} last spoke of. */
  ids(): Int32Array;
  add(word: string, ids: readonly number[]): void;
}

/** Two generations instead of one that is emptied: words in use are looked up again before they can be forgotten. */
export function createWordCache(): WordCache {
  let young = newGeneration();
  let old = newGeneration();
  let found = young.ids;
  const add = (word: string, ids: ArrayLike<number>) => {
    if (ids.length > MOST_IDS) return;
    if (young.places.size >= GENERATION_WORDS) {
      old = young;
      young = newGeneration();
    }
    if (young.length + ids.length > young.ids.length) {
      const larger = new Int32Array(2 * young.ids.length);
      larger.set(young.ids);
      young.ids = larger;
    }
    young.ids.set(ids, young.length);
    young.places.set(
      word.length < SLICED_LENGTH ? word : Buffer.from(word, 'utf16le').toString('utf16le'),
      (young.length << ID_BITS) | ids.length,
    );
    young.length += ids.length;
  };
  return {
    ids: () => found,
    find(word) {
      const place = young.places.get(word);
      if (place !== undefined) {
        found = young.ids;
        return place;
      }
      const older = old.places.get(word);
      if (older === undefined) return -1;
      found = old.ids;
      const start = older >> ID_BITS;
      add(word, found.subarray(start, start + (older & MOST_IDS)));
      return older;
    },
    add,
  };
}

function newGeneration(): Generation {
  return { places: new Map(), ids: new Int32Array(1 << 16), length: 0 };
}
