import type { RoundingSettings } from '../awq/settings.js';

/** Rows that a Gram is taken from at the least, in all and per feature, where it only helps to choose. */
const LEAST_ROWS = 1024;
const CHOOSING_ROWS_PER_FEATURE = 4;
/** Rows per feature behind which more of them change nothing that held-out text could tell; see docs/decisions.md. */
const SOLVING_ROWS_PER_FEATURE = 64;

/**
 * One row in how many a Gram is summed over. Rounding to nearest only chooses with it, among scales and clipping ranges,
 * and a sample chooses as well: within 1 % of the least loss on all rows. Error feedback solves with it, follows its noise
 * into every weight, and takes every row that there is.
 *
 * @param rows how many there are
 * @param features the widest Gram's
 * @returns a power of two
 */
export function gramStride({ rounding }: RoundingSettings, rows: number, features: number): number {
  return rounding === 'nearest' ? strideFor(rows, Math.max(LEAST_ROWS, CHOOSING_ROWS_PER_FEATURE * features)) : 1;
}

/** One row in how many the moments of a layer's own inputs are summed over, of which there is one for each token. */
export function momentStride(rows: number, features: number): number {
  return strideFor(rows, SOLVING_ROWS_PER_FEATURE * features);
}

function strideFor(rows: number, wanted: number): number {
  return 2 ** Math.max(0, Math.floor(Math.log2(rows / wanted)));
}
