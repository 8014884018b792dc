import { InputError } from '../errors.js';

/** Text to token ids and back, whatever file the vocabulary came in. */
export interface Tokenizer {
  /** The file or encoding it was made from: `tokenizer.json`, `tiktoken.model`, `o200k_base`, `cl100k_base`. */
  readonly kind: string;
  /** SHA-256 of everything that decides the ids: the vocabulary file, and pattern and specials where they stand apart. */
  readonly sha256: string;
  /** Largest id + 1. */
  readonly vocabularySize: number;
  /** Largest id of the base vocabulary + 1: what the model's embedding must cover whatever the text says. */
  readonly baseVocabularySize: number;
  /** Added and special tokens, matched in text before anything else. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** Token ids of a text; `addSpecialTokens` adds what the tokenizer puts around raw text (BOS, EOS). */
  encode(text: string, options?: { readonly addSpecialTokens?: boolean }): Int32Array;
  decode(ids: Int32Array | readonly number[]): string;
  /** The text after the tokenizer's own Unicode normalization, which its tokens spell out. */
  normalize(text: string): string;
  /** UTF-8 bytes of normalized text that one token stands for; what aligns tokens with the text they came from. */
  surfaceBytes(id: number): number;
}

/** Encodings that stand in when a mix is built without a model. */
export const ENCODINGS = ['o200k_base', 'cl100k_base'] as const;
export type EncodingName = (typeof ENCODINGS)[number];

/**
 * Refuses a tokenizer whose base vocabulary does not fit the model's embedding. Added tokens may lie beyond it (Gemma 3
 * ships an image token at id `vocab_size`): those are refused when a text really uses one, see {@link checkIds}.
 */
export function checkVocabulary(tokenizer: Tokenizer, modelVocabularySize: number, model: string): void {
  if (tokenizer.baseVocabularySize > modelVocabularySize) {
    throw new InputError(
      `Cannot use the tokenizer of "${model}": its ids reach ${tokenizer.baseVocabularySize - 1}, ` +
        `but the model's vocab_size is ${modelVocabularySize}`,
    );
  }
}

/** Refuses token ids outside `[0, modelVocabularySize)`; `subject` names the row in the message. */
export function checkIds(ids: Int32Array, modelVocabularySize: number, subject: string): void {
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at] ?? 0;
    if (id < 0 || id >= modelVocabularySize) {
      throw new InputError(
        `Cannot use ${subject}: token id ${id} is outside the model's vocabulary of ${modelVocabularySize}`,
      );
    }
  }
}
