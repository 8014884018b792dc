/** DuckDB pads its last bit-packed run to 256 values. */
const MAX_PADDING = 1024;

/**
 * Walks the headers of a run-length / bit-packed hybrid (parquet-format, Encodings.md, RLE = 3) and throws when a run
 * claims more values than the page has left. `width` is in bits. Bit-packed runs may be padded: to groups of 8, by DuckDB
 * to whole blocks.
 */
export function checkRuns(bytes: Uint8Array, width: number, values: number): void {
  let offset = 0;
  let left = values;
  while (left > 0 && offset < bytes.length) {
    const start = offset;
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[offset++];
      if (byte === undefined || shift > 28) throw new Error('a run has no length');
      header += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    const packed = header % 2 === 1;
    const units = Math.floor(header / 2);
    const count = packed ? units * 8 : units;
    if (count > left + (packed ? MAX_PADDING : 0))
      throw new Error(`a run at byte ${start} claims ${count} values of ${left} left`);
    left -= count;
    offset += packed ? units * width : Math.ceil(width / 8);
  }
}
