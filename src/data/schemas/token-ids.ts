import type { Schema } from './schema.js';
import { wrong } from './shape.js';

/** Ids are stored as signed 32-bit integers; no vocabulary comes near. */
const MAX_TOKEN_ID = 2 ** 31 - 1;

/** Ready `input_ids`, used as they are; with an `attention_mask`, padding is left out. */
export const tokenIdsSchema: Schema = {
  name: 'input_ids',
  matches: ({ row }) => isIdList(row['input_ids']),
  columns: () => ['input_ids', 'attention_mask'],
  normalize({ row }) {
    const ids = row['input_ids'];
    if (!isIdList(ids)) wrong(['input_ids'], 'a list of token ids', ids);
    const all = Int32Array.from(ids, (id, index) => readId(id, index));
    const mask = row['attention_mask'];
    const inputIds = isIdList(mask) && mask.length === all.length ? all.filter((_, at) => Number(mask[at]) !== 0) : all;
    if (inputIds.length === 0) wrong(['input_ids'], 'at least one token', ids);
    return { content: { kind: 'tokens', inputIds } };
  },
};

function isIdList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || (ArrayBuffer.isView(value) && 'length' in value);
}

function readId(id: unknown, index: number): number {
  const number = typeof id === 'bigint' ? Number(id) : id;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > MAX_TOKEN_ID) {
    return wrong(['input_ids', index], 'a token id', id);
  }
  return number;
}
