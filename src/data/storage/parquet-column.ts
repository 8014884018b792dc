import type { ColumnChunk, ColumnDecoder, ColumnMetaData, SchemaTree } from 'hyparquet/src/types.js';
import { assembleLists } from 'hyparquet/src/assemble.js';
import { DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { getMaxDefinitionLevel, getTreePath, isFlatColumn } from 'hyparquet/src/schema.js';
import { CODECS } from './parquet-codecs.js';
import type { ByteSource } from '../byte-source.js';
import type { FlatPage } from './parquet-page.js';
import { openPages } from './parquet-pages.js';

/** One leaf column of a row group, read forwards and page by page. */
export interface ColumnCursor {
  readonly path: readonly string[];
  /** The next `count` rows; throws when the chunk has fewer. */
  take(count: number): Promise<unknown[]>;
  /** Passes over rows; whole pages of them are not decoded. */
  skip(count: number): Promise<void>;
}

export function openColumn(source: ByteSource, chunk: ColumnChunk, tree: SchemaTree): ColumnCursor {
  const meta = chunk.meta_data;
  if (meta === undefined || chunk.file_path !== undefined) throw new Error('a column chunk lies in another file');
  const decoder = createDecoder(meta, tree);
  const flat = isFlatColumn(decoder.schemaPath);
  const pages = openPages(source, meta, decoder);
  let page: FlatPage | null = null;
  /** Level entries and values of `page` that are consumed. */
  let level = 0;
  let value = 0;

  /** Consumes entries up to the end of `rows` rows, or of the page; a row ends where the next one begins. */
  function consume(rows: number, begun: number, output: unknown[] | null): number {
    if (page === null) return begun;
    const from = level;
    const fromValue = value;
    const maximum = getMaxDefinitionLevel(decoder.schemaPath);
    const { definitionLevels, repetitionLevels } = page;
    let started = begun;
    if (flat && definitionLevels.length === 0) {
      const entries = Math.min(rows - begun, page.length - level);
      started += entries;
      level += entries;
      value += entries;
    }
    for (; level < page.length; level++) {
      if ((repetitionLevels[level] ?? 0) === 0 && started++ === rows) {
        started--;
        break;
      }
      if ((definitionLevels[level] ?? maximum) === maximum) value++;
    }
    if (output !== null && level > from) append(output, page, decoder, [from, level], [fromValue, value]);
    return started;
  }

  async function advance(count: number, output: unknown[] | null): Promise<void> {
    for (let started = 0; ;) {
      started = consume(count, started, output);
      if (page !== null && level < page.length) return;
      // The last row may go on in the next page, unless rows cannot.
      if (started === count && (flat || pages.ended())) return;
      const skippable = output === null ? count - started : 0;
      const next = await pages.next(skippable);
      if (next === null) {
        if (started === count) return;
        throw new Error(`column ${decoder.pathInSchema.join('.')} ends before its row group`);
      }
      if ('skippedRows' in next) {
        started += next.skippedRows;
        continue;
      }
      page = next;
      level = 0;
      value = 0;
    }
  }

  return {
    path: meta.path_in_schema,
    take: async (count) => {
      const rows: unknown[] = [];
      await advance(count, rows);
      return rows;
    },
    skip: (count) => (count === 0 ? Promise.resolve() : advance(count, null)),
  };
}

function createDecoder(meta: ColumnMetaData, tree: SchemaTree): ColumnDecoder {
  const schemaPath = getTreePath(tree, meta.path_in_schema);
  const leaf = schemaPath.at(-1);
  if (leaf === undefined) throw new Error('a column has no path');
  const { type, codec, path_in_schema: pathInSchema } = meta;
  return {
    pathInSchema,
    type,
    codec,
    element: leaf.element,
    schemaPath,
    parsers: DEFAULT_PARSERS,
    compressors: CODECS,
  };
}

function append(
  output: unknown[],
  page: FlatPage,
  decoder: ColumnDecoder,
  [from, to]: readonly [number, number],
  [fromValue, toValue]: readonly [number, number],
): void {
  const values = page.values.slice(fromValue, toValue);
  const definition = Array.from(page.definitionLevels.subarray(from, to));
  const repetition = Array.from(page.repetitionLevels.subarray(from, to));
  const rows = assembleLists(output, definition, repetition, values, decoder.schemaPath);
  // Required columns come back as their values.
  if (rows !== output) for (const row of rows) output.push(row);
}
