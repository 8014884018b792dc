import type { RoundingSettings } from '../awq/settings.js';

/** Rows that a Gram is taken from at the least, in all and per feature. */
const LEAST_ROWS = 1024;
const ROWS_PER_FEATURE = 4;

/**
 * One row in how many a Gram is summed over. Rounding to nearest only chooses with it, among scales and clipping ranges,
 * and a sample chooses as well: within 1 % of the least loss on all rows. Error feedback solves with it, follows its noise
 * into every weight, and takes every row.
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
