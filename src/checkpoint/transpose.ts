/** Rows and columns handled together, so that both sides stay within the processor's cache. */
const TILE = 64;

/** Writes the transpose of `source` [rows, columns] to `target` [columns, rows], and returns it. */
export function transposeInto<T extends Int8Array | Int32Array | Float32Array>(
  source: T,
  rows: number,
  columns: number,
  target: T,
): T {
  for (let rowTile = 0; rowTile < rows; rowTile += TILE) {
    const rowEnd = Math.min(rows, rowTile + TILE);
    for (let columnTile = 0; columnTile < columns; columnTile += TILE) {
      const columnEnd = Math.min(columns, columnTile + TILE);
      for (let row = rowTile; row < rowEnd; row++) {
        for (let column = columnTile; column < columnEnd; column++) {
          target[column * rows + row] = source[row * columns + column]!;
        }
      }
    }
  }
  return target;
}
