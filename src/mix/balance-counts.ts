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

/**
 * The same counts cell by cell: row c lists the sequences that feed cell c.
 *
 * @param wanted cells whose rows are needed, 1 for each; the others stay empty
 */
export function transposeCounts(sparse: SparseCounts, wanted: Uint8Array): SparseCounts {
  const { sequences, cellCount, offsets, cells, counts } = sparse;
  const columns = new Float64Array(cellCount + 1);
  for (let j = 0; j < cells.length; j++) columns[cells[j]! + 1]! += wanted[cells[j]!]!;
  for (let c = 0; c < cellCount; c++) columns[c + 1]! += columns[c]!;
  const transposed = allocateSparse(cellCount, sequences, columns, counts instanceof Uint16Array ? 0 : 0x10000);
  const next = columns.slice(0, cellCount);
  for (let s = 0; s < sequences; s++) {
    for (let j = offsets[s]!; j < offsets[s + 1]!; j++) {
      const cell = cells[j]!;
      if (wanted[cell] === 0) continue;
      const at = next[cell]!++;
      transposed.cells[at] = s;
      transposed.counts[at] = counts[j]!;
    }
  }
  return transposed;
}

/** Adds a sequence's tokens to the cells' (or takes them away). */
export function addCounts(
  { offsets, cells, counts }: SparseCounts,
  has: Float64Array,
  index: number,
  sign: 1 | -1 = 1,
): void {
  for (let j = offsets[index]!; j < offsets[index + 1]!; j++) has[cells[j]!]! += sign * counts[j]!;
}
