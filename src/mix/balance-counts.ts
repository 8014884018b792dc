/**
 * Routed tokens of every sequence of a pool, sparse (CSR): sequence i feeds `cells[j]` with `counts[j]` tokens for
 * `offsets[i] ≤ j < offsets[i + 1]`, cells rising. Cells are numbered through all layers with experts, layer by layer.
 */
export interface SparseCounts {
  readonly sequences: number;
  readonly cellCount: number;
  /** [sequences + 1] */
  readonly offsets: Float64Array;
  readonly cells: Uint16Array | Uint32Array;
  readonly counts: Uint16Array | Uint32Array;
}

/** Sparse counts of sequences given as dense rows [cells]; for small pools. */
export function sparseFromRows(rows: readonly ArrayLike<number>[], cellCount: number): SparseCounts {
  const offsets = new Float64Array(rows.length + 1);
  let largest = 0;
  rows.forEach((row, i) => {
    let fed = 0;
    for (let c = 0; c < cellCount; c++) {
      if (row[c]! > 0) fed++;
      largest = Math.max(largest, row[c]!);
    }
    offsets[i + 1] = offsets[i]! + fed;
  });
  const sparse = allocateSparse(rows.length, cellCount, offsets, largest);
  let at = 0;
  for (const row of rows) {
    for (let c = 0; c < cellCount; c++) {
      const count = row[c]!;
      if (count === 0) continue;
      sparse.cells[at] = c;
      sparse.counts[at++] = count;
    }
  }
  return sparse;
}

/** Empty arrays of the narrowest width that holds every cell number and count. */
export function allocateSparse(
  sequences: number,
  cellCount: number,
  offsets: Float64Array,
  largestCount: number,
): SparseCounts {
  const entries = offsets[sequences]!;
  return {
    sequences,
    cellCount,
    offsets,
    cells: cellCount <= 0x10000 ? new Uint16Array(entries) : new Uint32Array(entries),
    counts: largestCount < 0x10000 ? new Uint16Array(entries) : new Uint32Array(entries),
  };
}
