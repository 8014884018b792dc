import { fold } from './fold.js';

/**
 * MinHash by one-permutation hashing: every shingle is hashed once, its top bits choose a bin, and the bin keeps the
 * least of the rest; empty bins borrow from their neighbours (Li, Owen, Zhang 2012; Shrivastava 2017). 128 bins estimate
 * a Jaccard similarity of 0.85 to ±0.03.
 */
export const BINS = 128;
const BIN_BITS = 7;
const BANDS = 16;
const ROWS_PER_BAND = BINS / BANDS;

/** Characters per shingle: long enough that two texts of one language do not share most of them. */
const SHINGLE = 8;
const BASE = 0x0100_0193;

/** What near-duplicate search needs of a text: 8 bits of every minimum to compare by, 16 band keys to find by. */
export interface Signature {
  readonly bins: Uint8Array;
  readonly bands: Uint32Array;
}

/** The signature of a text; null when fewer signs than a shingle are left of it. */
export function signatureOf(text: string): Signature | null {
  const { units, length } = fold(text);
  if (length < SHINGLE) return null;
  const minima = new Uint32Array(BINS).fill(0xffff_ffff);
  let power = 1;
  for (let index = 1; index < SHINGLE; index++) power = Math.imul(power, BASE);
  let rolling = 0;
  for (let index = 0; index < length; index++) {
    if (index >= SHINGLE) rolling = (rolling - Math.imul(units[index - SHINGLE] ?? 0, power)) | 0;
    rolling = (Math.imul(rolling, BASE) + (units[index] ?? 0)) | 0;
    if (index < SHINGLE - 1) continue;
    const hash = mix(rolling);
    const bin = hash >>> (32 - BIN_BITS);
    const rest = (hash << BIN_BITS) >>> 0;
    if (rest < (minima[bin] ?? 0)) minima[bin] = rest;
  }
  fillEmptyBins(minima);
  const bins = new Uint8Array(BINS);
  for (let bin = 0; bin < BINS; bin++) bins[bin] = mix(minima[bin] ?? 0);
  return { bins, bands: bandKeys(minima) };
}

/** Share of equal bins, corrected for the 1 in 256 that are equal by chance: an estimate of the Jaccard similarity. */
export function similarity(a: Uint8Array, b: Uint8Array): number {
  let equal = 0;
  for (let bin = 0; bin < BINS; bin++) if (a[bin] === b[bin]) equal++;
  return Math.max(0, (equal / BINS - 1 / 256) / (1 - 1 / 256));
}

function fillEmptyBins(minima: Uint32Array): void {
  const filled = Uint32Array.from(minima);
  for (let bin = 0; bin < BINS; bin++) {
    if (filled[bin] !== 0xffff_ffff) continue;
    for (let attempt = 1; attempt <= BINS * 4; attempt++) {
      const donor = mix(Math.imul(bin + 1, 0x9e37_79b1) + attempt) >>> (32 - BIN_BITS);
      if (filled[donor] === 0xffff_ffff) continue;
      minima[bin] = filled[donor] ?? 0;
      break;
    }
  }
}

function bandKeys(minima: Uint32Array): Uint32Array {
  const keys = new Uint32Array(BANDS);
  for (let band = 0; band < BANDS; band++) {
    let key = mix(band + 1);
    for (let row = 0; row < ROWS_PER_BAND; row++)
      key = mix(Math.imul(key, 31) + (minima[band * ROWS_PER_BAND + row] ?? 0));
    keys[band] = key;
  }
  return keys;
}

/** MurmurHash3's finalizer: every bit of the input moves every bit of the output. */
function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2_ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
