import { createHash } from 'node:crypto';
import { MIX_COLUMNS, type MixColumn, type MixRow } from './columns.js';

/** Rows per record batch, so that a memory-mapping reader touches little. */
const BATCH_ROWS = 1_000;

/** A file of the folder that Python's `datasets.load_from_disk` opens. */
export interface NamedFile {
  readonly name: string;
  readonly content: string | Uint8Array;
}

/**
 * The rows as `datasets.save_to_disk` writes them: an Arrow IPC stream, `dataset_info.json` with the features, and
 * `state.json` naming the data files. Reads with datasets 2 to 5, which all know the `Sequence` feature.
 */
export async function toArrowFiles(rows: readonly MixRow[]): Promise<NamedFile[]> {
  const name = 'data-00000-of-00001.arrow';
  const stream = await toArrowStream(rows);
  const features = Object.fromEntries(MIX_COLUMNS.map((column) => [column.name, featureOf(column)]));
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

async function toArrowStream(rows: readonly MixRow[]): Promise<Uint8Array> {
  // A heavy import that only writing a mix needs.
  const arrow = await import('apache-arrow');
  const fields = MIX_COLUMNS.map((column) => new arrow.Field(column.name, typeOf(column), column.kind === 'string'));
  const schema = new arrow.Schema(fields);
  const writer = new arrow.RecordBatchStreamWriter();
  writer.reset(undefined, schema);
  for (let start = 0; start < rows.length; start += BATCH_ROWS) {
    const batch = rows.slice(start, start + BATCH_ROWS);
    const children = MIX_COLUMNS.map((column) => columnData(column, batch));
    const data = arrow.makeData({ type: new arrow.Struct(fields), length: batch.length, nullCount: 0, children });
    writer.write(new arrow.RecordBatch(schema, data));
  }
  writer.finish();
  return writer.toUint8Array(true);

  function typeOf(column: MixColumn) {
    if (column.kind === 'string') return new arrow.Utf8();
    if (column.kind === 'int32') return new arrow.Int32();
    return column.item === 'int32'
      ? new arrow.List(new arrow.Field('item', new arrow.Int32(), true))
      : new arrow.List(new arrow.Field('item', new arrow.Uint8(), true));
  }

  function columnData({ name, kind }: MixColumn, batch: readonly MixRow[]) {
    if (kind === 'string')
      return arrow.vectorFromArray(
        batch.map((row) => row[name]),
        new arrow.Utf8(),
      ).data[0]!;
    if (kind === 'int32')
      return arrow.makeData({ type: new arrow.Int32(), data: Int32Array.from(batch, (row) => row[name]) });
    const valueOffsets = new Int32Array(batch.length + 1);
    for (const [index, row] of batch.entries()) valueOffsets[index + 1] = (valueOffsets[index] ?? 0) + row[name].length;
    const total = valueOffsets[batch.length] ?? 0;
    const values = name === 'input_ids' ? new Int32Array(total) : new Uint8Array(total);
    for (const [index, row] of batch.entries()) values.set(row[name], valueOffsets[index]);
    const child =
      values instanceof Int32Array
        ? arrow.makeData({ type: new arrow.Int32(), data: values })
        : arrow.makeData({ type: new arrow.Uint8(), data: values });
    return arrow.makeData({
      type: new arrow.List(new arrow.Field('item', child.type, true)),
      length: batch.length,
      nullCount: 0,
      valueOffsets,
      child,
    });
  }
}

function featureOf(column: MixColumn): object {
  if (column.kind === 'list') return { feature: { dtype: column.item, _type: 'Value' }, length: -1, _type: 'Sequence' };
  return { dtype: column.kind, _type: 'Value' };
}

function json(value: object): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
