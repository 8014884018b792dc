import { decompress } from 'fzstd';
import type { RecordBatch, Vector } from 'apache-arrow';
import type { ByteSource } from '../byte-source.js';
import { asInputError, reading, rowPlace, type Row, type RowFile, type RowsOptions } from '../row.js';
import { checkData } from './arrow-check.js';
import { listMessages, type MessageExtent } from './arrow-messages.js';
import { decodeLz4Frame } from './lz4-frame.js';
import { createZstdGuard } from './zstd-frames.js';

const FILE_MAGIC = 'ARROW1';

/** The magic of a file is padded to 8 bytes. */
const FILE_START = 8;

/** A buffer of a batch, decompressed. */
const MAX_BUFFER_BYTES = 1 << 30;

/**
 * An Arrow IPC stream or file, as `datasets` and polars write them. Batches are found by their headers first, so that a
 * draw reads only the batches it needs, and memory holds one.
 */
export async function openArrow(source: ByteSource): Promise<RowFile> {
  return reading(source.name, async () => {
    const { byteLength } = source;
    const length = Math.min(FILE_MAGIC.length, byteLength);
    const isFile = decode(await source.slice(0, length)) === FILE_MAGIC;
    if (isFile && decode(await source.slice(byteLength - length, byteLength)) !== FILE_MAGIC) {
      throw new Error('its footer is cut off');
    }
    const extents = await listMessages(source, isFile ? FILE_START : 0);
    const batches = extents.filter(({ kind }) => kind === 'batch');
    // The schema and the dictionaries, which later batches refer to.
    const preludes = await Promise.all(
      extents.filter(({ kind }) => kind !== 'batch').map(({ start, end }) => source.slice(start, end)),
    );
    const { RecordBatchReader } = await loadArrow();
    const columns = RecordBatchReader.from(preludes)
      .open()
      .schema.fields.map(({ name }) => name);
    return {
      name: source.name,
      rowCount: batches.reduce((sum, { rows }) => sum + rows, 0),
      columns,
      columnar: true,
      rows: (options: RowsOptions) => readRows(source, batches, preludes, columns, options),
      close: () => source.close(),
    };
  });
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder('latin1').decode(bytes);
}

/** The library is large, and only those who read Arrow need it. */
async function loadArrow(): Promise<typeof import('apache-arrow')> {
  const arrow = await import('apache-arrow');
  arrow.compressionRegistry.set(arrow.CompressionType.ZSTD, { decode: decodeZstd });
  arrow.compressionRegistry.set(arrow.CompressionType.LZ4_FRAME, {
    decode: (bytes) => decodeLz4Frame(bytes, MAX_BUFFER_BYTES),
  });
  return arrow;
}

function decodeZstd(bytes: Uint8Array): Uint8Array {
  createZstdGuard(MAX_BUFFER_BYTES)(bytes);
  // A copy, because numbers need aligned bytes.
  return decompress(bytes).slice();
}

async function* readRows(
  source: ByteSource,
  batches: readonly MessageExtent[],
  preludes: readonly Uint8Array[],
  columns: readonly string[],
  options: RowsOptions,
): AsyncGenerator<Row> {
  const { RecordBatchReader } = await loadArrow();
  const selected = options.selection ?? [];
  const names = columns.filter((name) => options.columns?.includes(name) ?? true);
  let first = 0;
  let cursor = 0;
  for (const { start, end, rows } of batches) {
    const from = cursor;
    while ((selected[cursor] ?? Number.POSITIVE_INFINITY) < first + rows) cursor++;
    const base = first;
    first += rows;
    if (options.selection !== null && cursor === from) continue;
    options.signal?.throwIfAborted();
    const offsets =
      options.selection === null ? range(rows) : selected.slice(from, cursor).map((index) => index - base);
    try {
      const [batch] = RecordBatchReader.from([...preludes, await source.slice(start, end)]);
      if (batch === undefined) throw new Error('a batch is missing');
      checkData(batch.data);
      for (const offset of offsets) {
        // At once, so that a row that is kept does not keep its batch.
        const value = readRow(batch, names, offset);
        yield { index: base + offset, place: rowPlace(source.name, base + offset), value: () => value };
      }
    } catch (error) {
      throw asInputError(source.name, error);
    }
  }
}

function* range(count: number): Generator<number> {
  for (let at = 0; at < count; at++) yield at;
}

function readRow(batch: RecordBatch, names: readonly string[], index: number): Record<string, unknown> {
  return Object.fromEntries(names.map((name) => [name, plain(batch.getChild(name)?.get(index))]));
}

/** Values as JavaScript has them: lists of numbers stay typed arrays, other lists and structs become plain ones. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof Date) {
    return value ?? null;
  }
  if (isVector(value)) {
    const whole: unknown = value.nullCount === 0 ? value.toArray() : null;
    return ArrayBuffer.isView(whole) && !(whole instanceof Uint8Array) ? whole : Array.from(value, plain);
  }
  return Object.fromEntries(members(value).map(([key, member]) => [key, plain(member)]));
}

function isVector(value: object): value is Vector {
  return 'toArray' in value && 'numChildren' in value;
}

/** A struct's members or a map's entries; both iterate as pairs. */
function members(value: object): (readonly [string, unknown])[] {
  if (!isIterable(value)) return Object.entries(value);
  return Array.from(value, (pair) => (Array.isArray(pair) ? [String(pair[0]), pair[1]] : ['', pair]));
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value;
}
