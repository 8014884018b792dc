import type { Tokenizer } from '../text/tokenizer.js';
import type { Sequence } from './sequence.js';

/** The columns of a mix on disk, in order. `list` columns hold one number per token. */
export const MIX_COLUMNS = [
  { name: 'input_ids', kind: 'list', item: 'int32' },
  { name: 'channels', kind: 'list', item: 'uint8' },
  { name: 'text', kind: 'string' },
  { name: 'language', kind: 'string' },
  { name: 'category', kind: 'string' },
  { name: 'source', kind: 'string' },
  { name: 'revision', kind: 'string' },
  { name: 'license', kind: 'string' },
  { name: 'record_id', kind: 'string' },
  { name: 'window', kind: 'int32' },
] as const;

export type MixColumn = (typeof MIX_COLUMNS)[number];

/** One sequence as written. */
export interface MixRow {
  readonly input_ids: Int32Array;
  readonly channels: Uint8Array;
  readonly text: string;
  readonly language: string;
  readonly category: string;
  readonly source: string;
  readonly revision: string | null;
  readonly license: string | null;
  readonly record_id: string;
  readonly window: number;
}

/** The text is decoded from the ids: what the model is fed, where a window may have cut a character in two. */
export function toRow(sequence: Sequence, tokenizer: Pick<Tokenizer, 'decode'>): MixRow {
  return {
    input_ids: sequence.inputIds,
    channels: sequence.channels,
    text: tokenizer.decode(sequence.inputIds),
    language: sequence.language,
    category: sequence.category,
    source: sequence.source,
    revision: sequence.revision,
    license: sequence.license,
    record_id: sequence.recordId,
    window: sequence.window,
  };
}
