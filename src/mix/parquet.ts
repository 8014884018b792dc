import { parquetWriteBuffer } from 'hyparquet-writer';
import { CHANNELS } from '../text/channel.js';
import type { Column } from './columns.js';

/** Few enough rows that a reader of one column of one group stays small, enough to compress. */
const ROW_GROUP_ROWS = 1_000;

/**
 * Of numbers per token nobody asks for the least and most. Ids packed by their differences are smaller than a dictionary of
 * them under snappy, and are written in half the time; channels are a bit or two each as they are.
 */
const ENCODINGS = {
  int32_list: { encoding: 'DELTA_BINARY_PACKED', codec: 'UNCOMPRESSED', statistics: false },
  uint8_list: { codec: 'UNCOMPRESSED', statistics: false },
  int32: {},
  string: {},
} as const;

type SchemaElements = NonNullable<Parameters<typeof parquetWriteBuffer>[0]['schema']>;

/** A table as Parquet: texts under snappy, three-level lists, the names of channels in the file's metadata. */
export function toParquet(columns: readonly Column[]): Uint8Array {
  const buffer = parquetWriteBuffer({
    columnData: columns.map((column) => ({ name: column.name, data: plain(column), ...ENCODINGS[column.kind] })),
    schema: [{ name: 'root', num_children: columns.length }, ...columns.flatMap(schemaOf)],
    rowGroupSize: ROW_GROUP_ROWS,
    kvMetadata: [{ key: 'evenkeel.channels', value: JSON.stringify(CHANNELS) }],
    createdBy: 'evenkeel',
  });
  return new Uint8Array(buffer);
}

function plain(column: Column): (string | number | null | number[])[] {
  if (column.kind === 'int32_list' || column.kind === 'uint8_list')
    return column.values.map((list) => Array.from(list));
  return [...column.values];
}

function schemaOf({ name, kind }: Column): SchemaElements {
  if (kind === 'string') return [{ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'OPTIONAL' }];
  if (kind === 'int32') return [{ name, type: 'INT32', repetition_type: 'REQUIRED' }];
  const unsigned = kind === 'uint8_list' ? { converted_type: 'UINT_8' as const } : {};
  return [
    { name, repetition_type: 'REQUIRED', converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', type: 'INT32', repetition_type: 'REQUIRED', ...unsigned },
  ];
}
