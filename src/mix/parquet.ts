import { parquetWriteBuffer } from 'hyparquet-writer';
import { CHANNELS } from '../text/channel.js';
import { MIX_COLUMNS, type MixColumn, type MixRow } from './columns.js';

/** Few enough rows that a reader of one column of one group stays small, enough to compress. */
const ROW_GROUP_ROWS = 1_000;

type SchemaElements = NonNullable<Parameters<typeof parquetWriteBuffer>[0]['schema']>;

/** The rows as Parquet: snappy, three-level lists, the names of channels in the file's metadata. */
export function toParquet(rows: readonly MixRow[]): Uint8Array {
  const columnData = MIX_COLUMNS.map(({ name }) => ({ name, data: rows.map((row) => plain(row[name])) }));
  const buffer = parquetWriteBuffer({
    columnData,
    schema: [{ name: 'root', num_children: MIX_COLUMNS.length }, ...MIX_COLUMNS.flatMap(schemaOf)],
    rowGroupSize: ROW_GROUP_ROWS,
    kvMetadata: [{ key: 'evenkeel.channels', value: JSON.stringify(CHANNELS) }],
    createdBy: 'evenkeel',
  });
  return new Uint8Array(buffer);
}

function plain(value: MixRow[keyof MixRow]): string | number | null | number[] {
  return value instanceof Int32Array || value instanceof Uint8Array ? Array.from(value) : value;
}

function schemaOf(column: MixColumn): SchemaElements {
  const { name, kind } = column;
  if (kind === 'string') return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' }];
  if (kind === 'int32') return [{ name, type: 'INT32', repetition_type: 'REQUIRED' }];
  return [
    { name, repetition_type: 'REQUIRED', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    {
      name: 'element',
      type: 'INT32',
      repetition_type: 'REQUIRED',
      ...(column.item === 'uint8' ? { converted_type: 'UINT_8' as const } : {}),
    },
  ];
}
