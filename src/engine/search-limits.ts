/** Up to this width a Gram is the cheaper statistic for the search of gate and up; beyond it, rows of the input are. */
export const GRAM_SEARCH_WIDTH = 512;
/** Rows of input that stand for a Gram in the search, routed and layer-wide each. */
export const SKETCH_ROWS = 256;
/** Output rows of a down projection judged by the search. */
export const DOWN_SEARCH_ROWS = 512;
/** Input Grams that a lane keeps between the passes over its experts; beyond it they are computed twice. */
export const KEPT_GRAM_BYTES = 256 * 2 ** 20;
