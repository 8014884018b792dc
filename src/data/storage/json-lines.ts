import type { ByteSource } from '../byte-source.js';
import { parseJsonRow } from '../json-row.js';
import type { Row, RowFile } from '../row.js';
import { streamBytes } from './bytes-stream.js';
import { decodeUtf8, splitLines } from './lines.js';

/** One JSON object a line, plain or compressed with gzip or zstd; empty lines are passed over. */
export function openJsonLines(source: ByteSource): RowFile {
  const { name } = source;
  return {
    name,
    rowCount: null,
    columns: null,
    columnar: false,
    async *rows({ signal }): AsyncGenerator<Row> {
      let index = 0;
      for await (const { number, bytes } of splitLines(streamBytes(source, signal), name)) {
        if (bytes.every((byte) => byte === 0x20 || byte === 0x09)) continue;
        // A draw may keep the row while its piece of the file is long gone.
        const own = bytes.slice();
        const location = { file: name, line: number };
        yield {
          index: index++,
          place: `${name}:${number}`,
          value: () => parseJsonRow(decodeUtf8(own, name, number), location),
        };
      }
    },
    close: () => source.close(),
  };
}
