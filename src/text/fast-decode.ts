import type { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';

/** Ids to text, special tokens as they are spelled. */
export type FastDecode = (ids: Ids) => string;

/** Tables are made for so many ids, of which the largest vocabularies have a quarter of a million: a file may name any id. */
const MOST_TOKENS = 1 << 22;

type Ids = Int32Array | readonly number[];

/** What is used of the library's byte-level decoder. */
interface ByteLevelDecoder {
  /** The byte that a character of a token stands for. */
  readonly byte_decoder: Readonly<Record<string, number | string>>;
}

/** What is used of the library's model: tokens by id, undefined where an id is left out. */
interface Model {
  readonly vocab: readonly (string | undefined)[];
}

/**
 * Decodes byte-level tokens as the library does, which looks for each one among the added tokens and spells it letter by
 * letter: here the bytes of every token lie ready, and runs between added tokens are decoded at once.
 *
 * @returns null for other tokenizers, and wherever the two disagree on a walk through the vocabulary
 */
export function createFastDecode(inner: HuggingFaceTokenizer): FastDecode | null {
  const { model, decoder }: { model: unknown; decoder: unknown } = inner;
  if (!isModel(model) || !isByteLevel(decoder)) return null;
  const { vocab } = model;
  if (vocab.length > MOST_TOKENS) return null;
  const added = new Set([...inner.get_added_tokens_decoder().values()].map(({ content }) => content));
  const isAdded = Uint8Array.from(vocab, (token) => (token !== undefined && added.has(token) ? 1 : 0));
  const { bytes, ends } = spell(vocab, decoder.byte_decoder);
  const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  let room = new Uint8Array(1 << 12);

  const decode: FastDecode = (ids) => {
    let text = '';
    let length = 0;
    for (const id of ids) {
      if (isAdded[id] === 1) {
        text += utf8.decode(room.subarray(0, length)) + vocab[id]!;
        length = 0;
        continue;
      }
      const [from, to] = [id === 0 ? 0 : ends[id - 1]!, ends[id]!];
      if (length + to - from > room.length) room = enlarged(room, length + to - from);
      for (let at = from; at < to; at++) room[length++] = bytes[at]!;
    }
    return text + utf8.decode(room.subarray(0, length));
  };
  const checked: FastDecode = (ids) => (areTokens(ids, vocab) ? decode(ids) : decodeByLibrary(inner, ids));
  return probes(vocab.length).every((ids) => checked(ids) === decodeByLibrary(inner, ids)) ? checked : null;
}

function areTokens(ids: Ids, vocab: Model['vocab']): boolean {
  for (const id of ids) if (vocab[id] === undefined) return false;
  return true;
}

/** Any ids, as the library decodes them. */
export function decodeByLibrary(inner: HuggingFaceTokenizer, ids: Ids): string {
  if (ids.length === 0) return '';
  return inner.decode(Array.from(ids), { skip_special_tokens: false, clean_up_tokenization_spaces: false });
}

/** The bytes of all tokens, one after the other, and where each one's end. */
function spell(
  vocab: readonly (string | undefined)[],
  byteOf: ByteLevelDecoder['byte_decoder'],
): { readonly bytes: Uint8Array; readonly ends: Uint32Array } {
  const ends = new Uint32Array(vocab.length);
  const table = new Uint8Array(1 << 16);
  for (const [character, byte] of Object.entries(byteOf)) table[character.charCodeAt(0)] = Number(byte);
  let bytes = new Uint8Array(8 * vocab.length);
  let length = 0;
  for (let id = 0; id < vocab.length; id++) {
    const token = vocab[id] ?? '';
    if (length + token.length > bytes.length) bytes = enlarged(bytes, length + token.length);
    // A character beyond the alphabet is one zero, also where two code units spell it.
    for (let at = 0; at < token.length; at += token.codePointAt(at)! > 0xffff ? 2 : 1)
      bytes[length++] = table[token.charCodeAt(at)]!;
    ends[id] = length;
  }
  return { bytes, ends };
}

function enlarged(bytes: Uint8Array<ArrayBuffer>, least: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(2 * least);
  larger.set(bytes);
  return larger;
}

/** Ids from all over a vocabulary, its first ones, where added tokens often are, and its last. */
function probes(size: number): Int32Array[] {
  const count = Math.min(size, 64);
  return [
    Int32Array.from({ length: count }, (_, i) => Math.floor((i * size) / count)),
    Int32Array.from({ length: count }, (_, i) => i),
    Int32Array.from({ length: count }, (_, i) => size - 1 - i),
  ];
}

/** A model whose tokens bear no marks at the ends of words, which decoding would take for spaces. */
function isModel(value: unknown): value is Model {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false;
  return 'vocab' in value && Array.isArray(value.vocab) && !('end_of_word_suffix' in value && value.end_of_word_suffix);
}

function isByteLevel(value: unknown): value is ByteLevelDecoder {
  return (
    typeof value === 'function' &&
    'byte_decoder' in value &&
    'config' in value &&
    typeof value.config === 'object' &&
    value.config !== null &&
    'type' in value.config &&
    value.config.type === 'ByteLevel'
  );
}
