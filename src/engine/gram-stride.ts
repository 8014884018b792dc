import type { RoundingSettings } from '../awq/settings.js';

/** Rows that a Gram is taken from at the least, in all and per feature. */
const LEAST_ROWS = 1024;
const ROWS_PER_FEATURE = 4;

/**
 * One row in how many a Gram is summed over. Rounding to nearest only chooses with it, among scales and clipping ranges,
 * and chooses the same from a sample: mean KL of the shipped model moved by less than its own noise (docs/results.md). Error
 * feedback solves with it and takes every row: from a quarter of them, mean KL rose by a tenth.
 *
 * @param rows how many there are
 * @param features the widest Gram's
 * @returns a power of two
 */
export function gramStride({ rounding }: RoundingSettings, rows: number, features: number): number {
  if (rounding !== 'nearest') return 1;
  const wanted = Math.max(LEAST_ROWS, ROWS_PER_FEATURE * features);
  return 2 ** Math.max(0, Math.floor(Math.log2(rows / wanted)));
}
