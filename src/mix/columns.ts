import type { Tokenizer } from '../text/tokenizer.js';
import type { Sequence } from './sequence.js';

/** A column of a table to be written; lists hold one number per token. */
export type Column =
  | { readonly name: string; readonly kind: 'int32_list'; readonly values: readonly Int32Array[] }
  | { readonly name: string; readonly kind: 'uint8_list'; readonly values: readonly Uint8Array[] }
  | { readonly name: string; readonly kind: 'string'; readonly values: readonly (string | null)[] }
  | { readonly name: string; readonly kind: 'int32'; readonly values: readonly number[] };

/**
 * A mix as a table, one row per sequence. The text is decoded from the ids: what the model is fed, where a window may have
 * cut a character in two.
 */
export function mixColumns(sequences: readonly Sequence[], tokenizer: Pick<Tokenizer, 'decode'>): Column[] {
  const strings = (name: string, valueOf: (sequence: Sequence) => string | null): Column => ({
    name,
    kind: 'string',
    values: sequences.map(valueOf),
  });
  return [
    { name: 'input_ids', kind: 'int32_list', values: sequences.map(({ inputIds }) => inputIds) },
    { name: 'channels', kind: 'uint8_list', values: sequences.map(({ channels }) => channels) },
    strings('text', ({ inputIds }) => tokenizer.decode(inputIds)),
    strings('language', ({ language }) => language),
    strings('category', ({ category }) => category),
    strings('source', ({ source }) => source),
    strings('revision', ({ revision }) => revision),
    strings('license', ({ license }) => license),
    strings('record_id', ({ recordId }) => recordId),
    { name: 'window', kind: 'int32', values: sequences.map(({ window }) => window) },
  ];
}

/** What training and quantization tools take: ids, and a mask of ones, as nothing is padded. */
export function modelInputColumns(sequences: readonly Sequence[]): Column[] {
  return [
    { name: 'input_ids', kind: 'int32_list', values: sequences.map(({ inputIds }) => inputIds) },
    {
      name: 'attention_mask',
      kind: 'uint8_list',
      values: sequences.map(({ inputIds }) => new Uint8Array(inputIds.length).fill(1)),
    },
  ];
}
