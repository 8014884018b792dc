import {
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
  type AsyncBuffer,
  type FileMetaData,
} from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { InputError } from '../../errors.js';
import type { ByteSource } from '../byte-source.js';
import { reading, rowPlace, type Row, type RowFile, type RowsOptions, type RowValue } from '../row.js';

/** Metadata of the widest sets (thousands of row groups) is some tens of megabytes; a footer may claim anything. */
const MAX_METADATA_BYTES = 256 << 20;

/** Bytes of the footer fetched at once: nearly every file's metadata fits, and one request then does. */
const FOOTER_BYTES = 512 << 10;

/** A Parquet file: read row group by row group, only the columns asked for, any codec but LZO. */
export async function openParquet(source: ByteSource): Promise<RowFile> {
  const file: AsyncBuffer = {
    byteLength: source.byteLength,
    slice: async (start, end) => (await source.slice(start, end ?? source.byteLength)).buffer,
  };
  const metadata = await reading(source.name, () => readMetadata(source, file));
  const columns = parquetSchema(metadata).children.map(({ element }) => element.name);
  const rowCount = Number(metadata.num_rows);
  return {
    name: source.name,
    rowCount,
    columns,
    columnar: true,
    rows: (options) => readRows(source.name, file, metadata, columns, options),
    close: () => source.close(),
  };
}

async function readMetadata(source: ByteSource, file: AsyncBuffer): Promise<FileMetaData> {
  if (source.byteLength < 12) {
    throw new InputError(`Cannot read "${source.name}" as Parquet: it has only ${source.byteLength} bytes`);
  }
  const tail = await source.slice(source.byteLength - 8, source.byteLength);
  const magic = String.fromCharCode(...tail.subarray(4));
  if (magic !== 'PAR1') {
    const reason =
      magic === 'PARE' ? 'its footer is encrypted' : `wanted "PAR1" at its end, got ${JSON.stringify(magic)}`;
    throw new InputError(`Cannot read "${source.name}" as Parquet: ${reason}`);
  }
  const length = new DataView(tail.buffer).getUint32(0, true);
  if (length > Math.min(MAX_METADATA_BYTES, source.byteLength - 12)) {
    throw new InputError(`Cannot read "${source.name}" as Parquet: it claims ${length} bytes of metadata`);
  }
  return parquetMetadataAsync(file, { initialFetchSize: Math.max(FOOTER_BYTES, length + 8) });
}

async function* readRows(
  name: string,
  file: AsyncBuffer,
  metadata: FileMetaData,
  available: readonly string[],
  options: RowsOptions,
): AsyncGenerator<Row> {
  const wanted = options.columns;
  const columns = available.filter((column) => wanted === null || wanted.includes(column));
  const { selection } = options;
  const selected = selection ?? [];
  let rowStart = 0;
  let cursor = 0;
  for (const group of metadata.row_groups) {
    const rowEnd = rowStart + Number(group.num_rows);
    const from = cursor;
    while ((selected[cursor] ?? Number.POSITIVE_INFINITY) < rowEnd) cursor++;
    if (selection === null || cursor > from) {
      options.signal?.throwIfAborted();
      const start = rowStart;
      const rows: readonly RowValue[] = await reading(name, () =>
        parquetReadObjects({ file, metadata, columns, compressors, rowStart: start, rowEnd }),
      );
      const picked = selection === null ? rows.keys() : selected.slice(from, cursor).map((index) => index - start);
      for (const offset of picked) {
        const value = rows[offset];
        if (value === undefined) throw new InputError(`Cannot read ${rowPlace(name, start + offset)}: it is missing`);
        yield { index: start + offset, place: rowPlace(name, start + offset), value: () => value };
      }
    }
    rowStart = rowEnd;
  }
}
