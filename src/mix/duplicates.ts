import { BINS, similarity, type Signature } from './minhash.js';

/** What a sample is compared by. */
export interface Fingerprint {
  /** Hash of the text, white space evened out: 48 bits. */
  readonly exact: number;
  readonly signature: Signature | null;
}

export interface DuplicateIndex {
  /**
   * Whether an earlier sample equals or resembles this one; if none does, this one is remembered.
   *
   * @returns the earlier sample's number in order of remembering, and how alike they are (1 for equal text)
   */
  find(
    fingerprint: Fingerprint,
  ): { readonly kind: 'exact' | 'near'; readonly of: number; readonly similarity: number } | null;
  /** Samples beyond the limit that were compared but not remembered. */
  readonly forgotten: number;
}

/** Remembered signatures take 128 bytes each and 16 slots of 8 bytes at half load: about 200 MB at most. */
const MOST_REMEMBERED = 500_000;

/**
 * @param least estimated Jaccard similarity from which two samples are near duplicates
 * @param most samples that are remembered
 */
export function createDuplicateIndex(least: number, most = MOST_REMEMBERED): DuplicateIndex {
  const exact = new Map<number, number>();
  const bands = createBandTable();
  let bins = new Uint8Array(1024 * BINS);
  let count = 0;
  let forgotten = 0;

  const nearest = (signature: Signature) => {
    let best: { of: number; similarity: number } | null = null;
    for (const key of signature.bands) {
      const of = bands.get(key);
      if (of === null) continue;
      const alike = similarity(signature.bins, bins.subarray(of * BINS, (of + 1) * BINS));
      if (alike >= least && (best === null || alike > best.similarity)) best = { of, similarity: alike };
    }
    return best;
  };

  return {
    get forgotten() {
      return forgotten;
    },
    find({ exact: hash, signature }) {
      const same = exact.get(hash);
      if (same !== undefined) return { kind: 'exact', of: same, similarity: 1 };
      const near = signature === null ? null : nearest(signature);
      if (near !== null) return { kind: 'near', ...near };
      if (count >= most) {
        forgotten++;
        return null;
      }
      exact.set(hash, count);
      if ((count + 1) * BINS > bins.length) {
        const larger = new Uint8Array(bins.length * 2);
        larger.set(bins);
        bins = larger;
      }
      if (signature !== null) {
        bins.set(signature.bins, count * BINS);
        for (const key of signature.bands) bands.set(key, count);
      }
      count++;
      return null;
    },
  };
}

/** Band key → the first sample with it; open addressing in typed arrays, where a Map would take five times the memory. */
function createBandTable() {
  let capacity = 1 << 15;
  let keys = new Uint32Array(capacity);
  let values = new Int32Array(capacity).fill(-1);
  let size = 0;
  const slotOf = (key: number): number => {
    let slot = key & (capacity - 1);
    while (values[slot] !== -1 && keys[slot] !== key) slot = (slot + 1) & (capacity - 1);
    return slot;
  };
  const insert = (key: number, value: number) => {
    const slot = slotOf(key);
    if (values[slot] !== -1) return;
    keys[slot] = key;
    values[slot] = value;
    size++;
  };
  const grow = () => {
    const [oldKeys, oldValues] = [keys, values];
    capacity *= 2;
    keys = new Uint32Array(capacity);
    values = new Int32Array(capacity).fill(-1);
    size = 0;
    for (const [slot, value] of oldValues.entries()) if (value !== -1) insert(oldKeys[slot] ?? 0, value);
  };
  return {
    get(key: number): number | null {
      const value = values[slotOf(key)] ?? -1;
      return value === -1 ? null : value;
    },
    set(key: number, value: number): void {
      if (size * 2 >= capacity) grow();
      insert(key, value);
    },
  };
}
