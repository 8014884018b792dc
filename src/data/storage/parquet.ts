import { parquetMetadataAsync, parquetSchema } from 'hyparquet';
import type { DecodedArray, FileMetaData, RowGroup, SchemaTree } from 'hyparquet/src/types.js';
import { assembleNested } from 'hyparquet/src/assemble.js';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { InputError } from '../../errors.js';
import type { ByteSource } from '../byte-source.js';
import { asInputError, reading, rowPlace, type Row, type RowFile, type RowsOptions, type RowValue } from '../row.js';
import { openColumn, type ColumnCursor } from './parquet-column.js';

/** Metadata of the widest sets (thousands of row groups) is some tens of megabytes; a footer may claim anything. */
const MAX_METADATA_BYTES = 256 << 20;

/** Bytes of the footer fetched at once: nearly every file's metadata fits, and one request then does. */
const FOOTER_BYTES = 512 << 10;

/** Rows are decoded in batches of about this many bytes, however large the row groups are. */
const BATCH_BYTES = 8 << 20;
const MAX_BATCH_ROWS = 8192;

/**
 * A Parquet file: pages are decoded as rows are asked for, only of the columns asked for, so that memory holds a batch of
 * rows and a page per column. Any codec but LZO.
 */
export async function openParquet(source: ByteSource): Promise<RowFile> {
  const { metadata, tree } = await reading(source.name, async () => {
    const read = await readMetadata(source);
    return { metadata: read, tree: parquetSchema(read) };
  });
  return {
    name: source.name,
    rowCount: Number(metadata.num_rows),
    columns: tree.children.map(({ element }) => element.name),
    columnar: true,
    rows: (options) => readRows(source, metadata, tree, options),
    close: () => source.close(),
  };
}

async function readMetadata(source: ByteSource): Promise<FileMetaData> {
  const { name, byteLength } = source;
  if (byteLength < 12) throw new InputError(`Cannot read "${name}" as Parquet: it has only ${byteLength} bytes`);
  const tail = await source.slice(byteLength - 8, byteLength);
  const magic = String.fromCharCode(...tail.subarray(4));
  if (magic !== 'PAR1') {
    const reason =
      magic === 'PARE' ? 'its footer is encrypted' : `wanted "PAR1" at its end, got ${JSON.stringify(magic)}`;
    throw new InputError(`Cannot read "${name}" as Parquet: ${reason}`);
  }
  const length = new DataView(tail.buffer).getUint32(0, true);
  if (length > Math.min(MAX_METADATA_BYTES, byteLength - 12)) {
    throw new InputError(`Cannot read "${name}" as Parquet: it claims ${length} bytes of metadata`);
  }
  const file = {
    byteLength,
    slice: async (start: number, end?: number) => (await source.slice(start, end ?? byteLength)).buffer,
  };
  // Looking for geometry would follow the schema's numbers of children before they are checked.
  const initialFetchSize = Math.max(FOOTER_BYTES, length + 8);
  const metadata = await parquetMetadataAsync(file, { initialFetchSize, geoparquet: false });
  checkSchema(name, metadata);
  checkRowCounts(name, metadata);
  return metadata;
}

/** Nesting beyond this is an attack on the stack: the deepest honest columns are lists of structs of lists. */
const MAX_SCHEMA_DEPTH = 64;

/** Elements name how many of the next ones are their children; these have to add up, and not too deep. */
function checkSchema(name: string, { schema }: FileMetaData): void {
  const open: number[] = [];
  for (const [index, { num_children: children = 0 }] of schema.entries()) {
    if (!Number.isInteger(children) || children < 0 || (index > 0 && open.length === 0)) {
      throw new InputError(`Cannot read "${name}": its schema does not add up at element ${index}`);
    }
    if (index > 0) open.push((open.pop() ?? 1) - 1);
    if (children > 0) open.push(children);
    while (open.at(-1) === 0) open.pop();
    if (open.length > MAX_SCHEMA_DEPTH) throw new InputError(`Cannot read "${name}": its schema is nested too deeply`);
  }
  if (open.length > 0) throw new InputError(`Cannot read "${name}": its schema is cut off`);
}

/** Counts drive loops and draws, so they have to agree before anything is read. */
function checkRowCounts(name: string, metadata: FileMetaData): void {
  const counts = metadata.row_groups.map((group) => Number(group.num_rows));
  const total = counts.reduce((sum, count) => sum + count, 0);
  const sound = counts.every((count) => Number.isSafeInteger(count) && count >= 0);
  if (!sound || total !== Number(metadata.num_rows)) {
    throw new InputError(`Cannot read "${name}": it claims ${metadata.num_rows} rows, its row groups have ${total}`);
  }
}

async function* readRows(
  source: ByteSource,
  metadata: FileMetaData,
  tree: SchemaTree,
  options: RowsOptions,
): AsyncGenerator<Row> {
  const selected = options.selection ?? [];
  let groupStart = 0;
  let cursor = 0;
  for (const group of metadata.row_groups) {
    const rowCount = Number(group.num_rows);
    const from = cursor;
    while ((selected[cursor] ?? Number.POSITIVE_INFINITY) < groupStart + rowCount) cursor++;
    const start = groupStart;
    const picked = options.selection === null ? null : selected.slice(from, cursor).map((index) => index - start);
    if (picked === null || picked.length > 0)
      yield* readGroup(source, group, start, tree, { ...options, selection: picked });
    groupStart += rowCount;
  }
}

/** Rows of one group; `selection` counts from the group's first row. */
async function* readGroup(
  source: ByteSource,
  group: RowGroup,
  groupStart: number,
  tree: SchemaTree,
  options: RowsOptions,
): AsyncGenerator<Row> {
  const { selection, signal } = options;
  const wanted = tree.children.filter(({ element }) => options.columns?.includes(element.name) ?? true);
  const names = new Set(wanted.map(({ element }) => element.name));
  const rowCount = Number(group.num_rows);
  try {
    const chunks = group.columns.filter(({ meta_data: meta }) => names.has(meta?.path_in_schema[0] ?? ''));
    const batchRows = rowsPerBatch(chunks, rowCount);
    const columns = chunks.map((chunk) => openColumn(source, chunk, tree));
    let at = 0;
    let next = 0;
    while (at < rowCount) {
      signal?.throwIfAborted();
      // From the next row wanted on; a batch without a wanted row is passed over.
      const start = selection === null ? at : selection[next];
      if (start === undefined) return;
      for (const column of columns) await column.skip(start - at);
      const count = Math.min(batchRows, rowCount - start);
      const batchEnd = start + count;
      const upTo = selection === null ? batchEnd : lastBelow(selection, next, batchEnd) + 1;
      const rows = await readBatch(columns, wanted, upTo - start);
      at = upTo;
      for (const [offset, value] of rows.entries()) {
        const index = start + offset;
        if (selection !== null) {
          if (selection[next] !== index) continue;
          next++;
        }
        yield { index: groupStart + index, place: rowPlace(source.name, groupStart + index), value: () => value };
      }
    }
  } catch (error) {
    throw asInputError(source.name, error);
  }
}

function rowsPerBatch(chunks: RowGroup['columns'], rowCount: number): number {
  const bytes = chunks.reduce((sum, { meta_data: meta }) => sum + Number(meta?.total_uncompressed_size ?? 0), 0);
  const rows = Math.floor((rowCount * BATCH_BYTES) / Math.max(bytes, 1));
  return Math.min(Math.max(rows, 1), MAX_BATCH_ROWS);
}

/** The last selected row before `end`. */
function lastBelow(selection: readonly number[], from: number, end: number): number {
  let last = selection[from] ?? 0;
  for (let at = from; (selection[at] ?? end) < end; at++) last = selection[at] ?? last;
  return last;
}

async function readBatch(
  columns: readonly ColumnCursor[],
  wanted: readonly SchemaTree[],
  count: number,
): Promise<RowValue[]> {
  const leaves = new Map<string, DecodedArray>();
  for (const column of columns) leaves.set(column.path.join('.'), await column.take(count));
  const tables = wanted.map((child) => {
    if (child.children.length > 0) assembleNested(leaves, child, DEFAULT_PARSERS);
    const values = leaves.get(child.path.join('.'));
    if (values === undefined) throw new Error(`column ${child.element.name} has no data`);
    return { name: child.element.name, values };
  });
  return Array.from({ length: count }, (_, row) =>
    Object.fromEntries(tables.map(({ name, values }) => [name, values[row] ?? null])),
  );
}
