import { createHash } from 'node:crypto';
import type { Column } from './columns.js';

/** Rows per record batch, so that a memory-mapping reader touches little. */
const BATCH_ROWS = 1_000;

/** A file of the folder that Python's `datasets.load_from_disk` opens. */
export interface NamedFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}

type Arrow = typeof import('apache-arrow');

/**
 * A table as `datasets.save_to_disk` writes it: an Arrow IPC stream, `dataset_info.json` with the features, and
 * `state.json` naming the data files. Reads with datasets 2 to 5, which all know the `Sequence` feature.
 */
export async function toArrowFiles(columns: readonly Column[]): Promise<NamedFile[]> {
  const name = 'data-00000-of-00001.arrow';
  const stream = await toArrowStream(columns);
  const features = Object.fromEntries(columns.map((column) => [column.name, featureOf(column)]));
  const info = { citation: '', description: '', features, homepage: '', license: '' };
  const state = {
    _data_files: [{ filename: name }],
    _fingerprint: createHash('sha256').update(stream).digest('hex').slice(0, 16),
    _format_columns: null,
    _format_kwargs: {},
    _format_type: null,
    _output_all_columns: false,
    _split: null,
  };
  return [
    { name, content: stream },
    { name: 'dataset_info.json', content: json(info) },
    { name: 'state.json', content: json(state) },
  ];
}

async function toArrowStream(columns: readonly Column[]): Promise<Uint8Array> {
  // A heavy import that only writing a mix needs.
  const arrow = await import('apache-arrow');
  const fields = columns.map(({ name, kind }) => new arrow.Field(name, typeOf(arrow, kind), kind === 'string'));
  const schema = new arrow.Schema(fields);
  const rows = columns[0]?.values.length ?? 0;
  const writer = new arrow.RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (let start = 0; start < rows; start += BATCH_ROWS) {
    const end = Math.min(start + BATCH_ROWS, rows);
    const children = columns.map((column) => columnData(arrow, column, start, end));
    const data = arrow.makeData({ type: new arrow.Struct(fields), length: end - start, nullCount: 0, children });
    writer.write(new arrow.RecordBatch(schema, data));
  }
  writer.finish();
  return writer.toUint8Array(true);
}

function typeOf(arrow: Arrow, kind: Column['kind']) {
  if (kind === 'string') return new arrow.Utf8();
  if (kind === 'int32') return new arrow.Int32();
  const item = kind === 'int32_list' ? new arrow.Int32() : new arrow.Uint8();
  return new arrow.List(new arrow.Field<typeof item>('item', item, true));
}

function columnData(arrow: Arrow, column: Column, start: number, end: number) {
  if (column.kind === 'string') {
    const [data] = arrow.vectorFromArray(column.values.slice(start, end), new arrow.Utf8()).data;
    if (data === undefined) throw new Error(`column ${column.name} has no data`);
    return data;
  }
  if (column.kind === 'int32') {
    return arrow.makeData({ type: new arrow.Int32(), data: Int32Array.from(column.values.slice(start, end)) });
  }
  const lists = column.values.slice(start, end);
  const valueOffsets = new Int32Array(lists.length + 1);
  for (const [index, list] of lists.entries()) valueOffsets[index + 1] = (valueOffsets[index] ?? 0) + list.length;
  const total = valueOffsets[lists.length] ?? 0;
  const values = column.kind === 'int32_list' ? new Int32Array(total) : new Uint8Array(total);
  for (const [index, list] of lists.entries()) values.set(list, valueOffsets[index]);
  const child =
    values instanceof Int32Array
      ? arrow.makeData({ type: new arrow.Int32(), data: values })
      : arrow.makeData({ type: new arrow.Uint8(), data: values });
  const type = new arrow.List(new arrow.Field('item', child.type, true));
  return arrow.makeData({ type, length: lists.length, nullCount: 0, valueOffsets, child });
}

function featureOf({ kind }: Column): object {
  if (kind === 'string' || kind === 'int32') return { dtype: kind, _type: 'Value' };
  return {
    feature: { dtype: kind === 'int32_list' ? 'int32' : 'uint8', _type: 'Value' },
    length: -1,
    _type: 'Sequence',
  };
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
