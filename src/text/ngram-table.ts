/**
 * What every n-gram says of every language. Flat, because a look-up lands anywhere in megabytes: one slot is one line of
 * the cache.
 */
export interface NgramTable {
  /** An n-gram's slot; its `START` and `END` are 0 when no language has it. Both numbers are unsigned. */
  find(high: number, low: number): number;
  readonly slots: Uint32Array;
  /** Language and value, one after the other. */
  readonly entries: Int32Array;
}

/** Numbers of a slot: the n-gram's two, and where its entries begin and end. */
const SLOT = 4;
export const START = 2;
export const END = 3;

/** Entries in the order in which they were added, one list per field. `high` and `low` together are the n-gram's characters. */
export interface NgramEntries {
  readonly highs: number[];
  readonly lows: number[];
  readonly languages: number[];
  readonly values: number[];
  /** How many n-grams there are, repeated ones counted once: what fits the cache is found sooner. */
  distinct: number;
}

/**
 * An inverted index in typed arrays with open addressing: detectors that keep an object of n-grams per language, or an
 * object of languages per n-gram, spend most of their time in property look-ups.
 */
export function createNgramTable({ highs, lows, languages, values, distinct }: NgramEntries): NgramTable {
  const capacity = powerAbove(1.5 * distinct);
  const slots = new Uint32Array(capacity * SLOT);
  const find = (high: number, low: number): number => {
    let slot = (hashNgram(high, low) & (capacity - 1)) * SLOT;
    while (slots[slot + END] !== 0 && (slots[slot] !== high || slots[slot + 1] !== low))
      slot = (slot + SLOT) & (capacity * SLOT - 1);
    return slot;
  };
  // First how many entries every slot has, then where they lie.
  const places = new Uint32Array(highs.length);
  for (let at = 0; at < highs.length; at++) {
    const [high, low] = [(highs[at] ?? 0) >>> 0, (lows[at] ?? 0) >>> 0];
    const slot = find(high, low);
    slots[slot] = high;
    slots[slot + 1] = low;
    slots[slot + END] = (slots[slot + END] ?? 0) + 2;
    places[at] = slot;
  }
  let next = 0;
  for (let slot = 0; slot < slots.length; slot += SLOT) {
    const count = slots[slot + END] ?? 0;
    if (count === 0) continue;
    slots[slot + START] = next;
    slots[slot + END] = next;
    next += count;
  }
  const entries = new Int32Array(next);
  for (let at = 0; at < highs.length; at++) {
    const slot = places[at] ?? 0;
    const place = slots[slot + END] ?? 0;
    entries[place] = languages[at] ?? 0;
    entries[place + 1] = values[at] ?? 0;
    slots[slot + END] = place + 2;
  }
  return { find, slots, entries };
}

/** The distinct n-grams of one text and how often each occurs; emptied in constant time. */
export interface NgramCounter {
  clear(): void;
  /** Both numbers are unsigned. */
  add(high: number, low: number): void;
  readonly size: number;
  /** Of the n-grams from 0 to `size` − 1, in the order in which they came. */
  readonly highs: Uint32Array;
  readonly lows: Uint32Array;
  readonly counts: Uint32Array;
}

/** @param most n-grams of the longest text; further ones are not counted */
export function createNgramCounter(most: number): NgramCounter {
  const capacity = powerAbove(2 * most);
  const rounds = new Uint32Array(capacity);
  const slots = new Uint32Array(capacity);
  const highs = new Uint32Array(most);
  const lows = new Uint32Array(most);
  const counts = new Uint32Array(most);
  let round = 0;
  let size = 0;
  return {
    highs,
    lows,
    counts,
    get size() {
      return size;
    },
    clear() {
      round++;
      size = 0;
    },
    add(high, low) {
      let slot = hashNgram(high, low) & (capacity - 1);
      for (; rounds[slot] === round; slot = (slot + 1) & (capacity - 1)) {
        const at = slots[slot] ?? 0;
        if (highs[at] === high && lows[at] === low) {
          counts[at] = (counts[at] ?? 0) + 1;
          return;
        }
      }
      if (size === most) return;
      rounds[slot] = round;
      slots[slot] = size;
      highs[size] = high;
      lows[size] = low;
      counts[size] = 1;
      size++;
    },
  };
}

function hashNgram(high: number, low: number): number {
  let hash = Math.imul(high ^ (high >>> 15), 0x85eb_ca6b) ^ Math.imul(low ^ (low >>> 13), 0xc2b2_ae35);
  hash = Math.imul(hash ^ (hash >>> 16), 0x27d4_eb2d);
  return hash ^ (hash >>> 15);
}

function powerAbove(least: number): number {
  let power = 1024;
  while (power < least) power *= 2;
  return power;
}
