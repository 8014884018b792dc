/** Sequences that go through a layer together, padded on the right to the longest. */
export interface Batch {
  /** First row of each sequence in the row store, and its length. */
  readonly sequences: readonly { readonly row: number; readonly length: number }[];
  readonly length: number;
}

export interface BatchLimits {
  /** Rows of a batch, padding included: enough for products to run at full rate, few enough to stay in a core's cache. */
  readonly rows: number;
  /** Values of one attention score matrix, heads × batch × length². */
  readonly scores: number;
}

export const DEFAULT_BATCH_LIMITS: BatchLimits = { rows: 1024, scores: 4 * 2 ** 20 };

/**
 * Groups sequences by length so that little is padded. The result depends on the lengths alone, not on the number of
 * workers.
 */
export function planBatches(offsets: Int32Array, heads: number, limits: BatchLimits = DEFAULT_BATCH_LIMITS): Batch[] {
  const sequences = Array.from({ length: offsets.length - 1 }, (_, i) => ({
    row: offsets[i]!,
    length: offsets[i + 1]! - offsets[i]!,
  }))
    .filter(({ length }) => length > 0)
    .sort((a, b) => b.length - a.length || a.row - b.row);
  const batches: Batch[] = [];
  for (let start = 0; start < sequences.length;) {
    const { length } = sequences[start]!;
    const most = Math.max(1, Math.floor(Math.min(limits.rows / length, limits.scores / (heads * length * length))));
    const members = sequences.slice(start, start + most);
    batches.push({ sequences: members, length });
    start += members.length;
  }
  return batches;
}
