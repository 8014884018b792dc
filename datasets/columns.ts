import { createHash } from 'node:crypto';
import { parquetWriteBuffer } from 'hyparquet-writer';
import type { RowSource } from './row-source.js';

/** One row as it ships, keys in the order of the columns; absent values are null, so that every row has one shape. */
export interface ShippedRow {
  readonly messages: readonly ShippedMessage[];
  /** OpenAI function schemas as a JSON string: their parameters have no common type. */
  readonly tools: string | null;
  readonly language: string;
  readonly category: string;
  readonly source: string;
  readonly license: string;
  readonly record_id: string;
}

interface ShippedMessage {
  readonly role: string;
  readonly content: string | null;
  readonly reasoning_content: string | null;
  readonly tool_calls: readonly ShippedToolCall[] | null;
  readonly tool_call_id: string | null;
  readonly name: string | null;
}

interface ShippedToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

const LICENSE = 'CC-BY-4.0';

export function shipRow(row: RowSource, set: string, stem: string): ShippedRow {
  const record = `${set}/${stem}`;
  return {
    messages: row.messages.map((message) => ({
      role: message.role,
      content: message.content ?? null,
      reasoning_content: 'reasoning_content' in message ? (message.reasoning_content ?? null) : null,
      tool_calls:
        'tool_calls' in message && message.tool_calls !== undefined
          ? message.tool_calls.map(({ id, type, function: { name, arguments: values } }) => ({
              id: shippedCallId(record, id),
              type,
              function: { name, arguments: JSON.stringify(values) },
            }))
          : null,
      tool_call_id: 'tool_call_id' in message ? shippedCallId(record, message.tool_call_id) : null,
      name: 'name' in message ? message.name : null,
    })),
    tools: row.tools === undefined ? null : JSON.stringify(row.tools),
    language: row.language,
    category: row.category,
    source: `evenkeel/${set}`,
    license: LICENSE,
    record_id: record,
  };
}

/**
 * Sources name calls for their readers (`call_1`, `weather`). Mistral's templates refuse every id but nine letters and
 * digits, so that is what ships, made from the row and the name.
 */
function shippedCallId(record: string, id: string): string {
  const digest = createHash('sha256').update(`${record}\0${id}`).digest('base64');
  return digest.replaceAll(/[^A-Za-z0-9]/gu, '').slice(0, 9);
}

export function toJsonLines(rows: readonly ShippedRow[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}

type SchemaElement = NonNullable<Parameters<typeof parquetWriteBuffer>[0]['schema']>[number];

const required = { repetition_type: 'REQUIRED' } as const;
const optional = { repetition_type: 'OPTIONAL' } as const;

function string(name: string, repetition: Pick<SchemaElement, 'repetition_type'>): SchemaElement {
  return { name, type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' }, ...repetition };
}

/** A three-level list of structs, as Arrow writes it. */
function listOfStructs(
  name: string,
  repetition: Pick<SchemaElement, 'repetition_type'>,
  fields: readonly SchemaElement[],
  fieldCount = fields.length,
): SchemaElement[] {
  return [
    { name, converted_type: 'LIST', logical_type: { type: 'LIST' }, num_children: 1, ...repetition },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', num_children: fieldCount, ...required },
    ...fields,
  ];
}

const TOOL_CALLS = listOfStructs(
  'tool_calls',
  optional,
  [
    string('id', required),
    string('type', required),
    { name: 'function', num_children: 2, ...required },
    string('name', required),
    string('arguments', required),
  ],
  3,
);

const MESSAGES = listOfStructs(
  'messages',
  required,
  [
    string('role', required),
    string('content', optional),
    string('reasoning_content', optional),
    ...TOOL_CALLS,
    string('tool_call_id', optional),
    string('name', optional),
  ],
  6,
);

const SCHEMA: SchemaElement[] = [
  { name: 'root', num_children: 7 },
  ...MESSAGES,
  string('tools', optional),
  string('language', required),
  string('category', required),
  string('source', required),
  string('license', required),
  string('record_id', required),
];

const COLUMNS = ['messages', 'tools', 'language', 'category', 'source', 'license', 'record_id'] as const;

/** The rows as Parquet (snappy), the same bytes for the same rows. */
export function toParquet(rows: readonly ShippedRow[]): Uint8Array {
  const columnData = COLUMNS.map((name) => ({ name, data: rows.map((row) => row[name]) }));
  return new Uint8Array(parquetWriteBuffer({ columnData, schema: SCHEMA, createdBy: 'evenkeel' }));
}
