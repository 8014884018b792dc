import { createHash } from 'node:crypto';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import type { Json } from '../data/sample.js';
import { InputError } from '../errors.js';
import { once } from '../once.js';
import { createFastDecode, decodeByLibrary } from './fast-decode.js';
import { createFastEncode, type FastEncode } from './fast-encode.js';
import { speedUpMerges } from './fast-merges.js';
import type { DeclaredMerge } from './pair-table.js';
import { isRecord, parseJsonObject, type JsonRecord } from './model-file.js';
import { unsupportedTokenizerFeatures } from './tokenizer-audit.js';
import type { Tokenizer } from './tokenizer.js';

/**
 * A tokenizer from the text of `tokenizer.json`, run by `@huggingface/tokenizers`.
 *
 * @param config the parsed `tokenizer_config.json`, empty where there is none
 * @param plain leaves everything to the library
 * @throws InputError naming every feature that would give other ids than the Rust implementation
 */
export function tokenizerFromJson(text: string, config: JsonRecord, path: string, plain = false): Tokenizer {
  const parsed = parseJsonObject(text, path);
  const unsupported = unsupportedTokenizerFeatures(parsed);
  if (unsupported.length > 0) {
    throw new InputError(`Cannot reproduce the tokenizer "${path}" exactly: it uses ${unsupported.join('; ')}`);
  }
  const { inner, encoder } = plain
    ? slow(parsed, config, path)
    : (quick(parsed, config, path) ?? slow(parsed, config, path));
  const specialTokens = new Map<string, number>();
  for (const [id, token] of inner.get_added_tokens_decoder()) specialTokens.set(token.content, id);
  const added = new Set(specialTokens.values());
  const { vocabularySize, baseVocabularySize } = vocabularySizes(inner, added);
  const surface = once(() => surfaceLengths(inner, parsed, added, vocabularySize));
  const fastDecode = once(() => (plain ? null : createFastDecode(inner)));
  return {
    kind: 'tokenizer.json',
    sha256: createHash('sha256').update(text).digest('hex'),
    vocabularySize,
    baseVocabularySize,
    specialTokens,
    encode(input, { addSpecialTokens = false } = {}) {
      const { library, fastEncode, around } = encoder();
      const fast = fastEncode?.(input) ?? null;
      if (fast !== null && !addSpecialTokens) return fast;
      if (fast !== null && around !== null) return surround(fast, around);
      const found: readonly (number | undefined)[] = library.encode(input, {
        add_special_tokens: addSpecialTokens,
      }).ids;
      const ids = new Int32Array(found.length);
      for (let at = 0; at < found.length; at++) {
        const id = found[at];
        if (id === undefined)
          throw new InputError(`Cannot encode text with "${path}": it has no token for a piece of it and no unk_token`);
        ids[at] = id;
      }
      return ids;
    },
    decode(ids) {
      return fastDecode()?.(ids) ?? decodeByLibrary(inner, ids);
    },
    normalize: (input) => (inner.normalizer === null ? input : inner.normalizer.normalize(input)),
    surfaceBytes: (id) => surface()[id] ?? 0,
  };
}

interface Loaded {
  /** For all but encoding. */
  readonly inner: HuggingFaceTokenizer;
  /** Made at the first text: a mix of token ids has none. */
  readonly encoder: () => Encoder;
}

interface Encoder {
  readonly library: HuggingFaceTokenizer;
  readonly fastEncode: FastEncode | null;
  readonly around: Specials | null;
}

function slow(parsed: JsonRecord, config: JsonRecord, path: string): Loaded {
  const inner = construct(parsed, config, path);
  return { inner, encoder: () => ({ library: inner, fastEncode: null, around: null }) };
}

/**
 * The library without the merges, which it would keep in three forms, and with merging of our own; null for models that do
 * not merge. It keeps the declaration that it is given for good: one of its own, emptied once it is read.
 */
function quick(parsed: JsonRecord, config: JsonRecord, path: string): Loaded | null {
  const { model } = parsed;
  const merges = isRecord(model) ? model['merges'] : null;
  if (!isRecord(model) || !Array.isArray(merges) || !merges.every(isMerge)) return null;
  const declared: Record<string, Json | undefined> = { ...model, merges: [] };
  const inner = construct({ ...parsed, model: declared }, config, path);
  declared['vocab'] = {};
  const encoder = once(() => {
    const fastMerges = speedUpMerges(inner, merges);
    if (fastMerges === null) return slow(parsed, config, path).encoder();
    const fastEncode = createFastEncode(inner, config);
    if (fastEncode === null) fastMerges.remember();
    return { library: inner, fastEncode, around: fastEncode === null ? null : specialsAround(inner) };
  });
  return { inner, encoder };
}

function isMerge(value: unknown): value is DeclaredMerge {
  return (
    typeof value === 'string' ||
    (Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string'))
  );
}

interface Specials {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

/** What the tokenizer puts around any text; null where it depends on the text. */
function specialsAround(inner: HuggingFaceTokenizer): Specials | null {
  const ids = (text: string, special: boolean) => inner.encode(text, { add_special_tokens: special }).ids;
  const alone = ids('', true);
  const starts = Array.from({ length: alone.length + 1 }, (_, start) => start);
  const start = starts.find((at) =>
    ['a', 'b\nc'].every(
      (text) => [...alone.slice(0, at), ...ids(text, false), ...alone.slice(at)].join() === ids(text, true).join(),
    ),
  );
  return start === undefined ? null : { before: alone.slice(0, start), after: alone.slice(start) };
}

function surround(ids: Int32Array, { before, after }: Specials): Int32Array {
  const whole = new Int32Array(before.length + ids.length + after.length);
  whole.set(before);
  whole.set(ids, before.length);
  whole.set(after, before.length + ids.length);
  return whole;
}

function construct(parsed: object, config: JsonRecord, path: string): HuggingFaceTokenizer {
  try {
    // The library reads these keys without asking whether they are there.
    return new HuggingFaceTokenizer(
      { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, ...parsed },
      config,
    );
  } catch (error) {
    throw new InputError(
      `Cannot load the tokenizer "${path}": ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    );
  }
}

function vocabularySizes(inner: HuggingFaceTokenizer, added: ReadonlySet<number>) {
  let vocabularySize = 0;
  let baseVocabularySize = 0;
  for (const id of inner.get_vocab().values()) {
    vocabularySize = Math.max(vocabularySize, id + 1);
    if (!added.has(id)) baseVocabularySize = Math.max(baseVocabularySize, id + 1);
  }
  return { vocabularySize, baseVocabularySize };
}

/** Bytes per token: byte-level tokens have one character per byte; SentencePiece writes a space as ▁ and a byte as <0xNN>. */
function surfaceLengths(
  inner: HuggingFaceTokenizer,
  parsed: JsonRecord,
  added: ReadonlySet<number>,
  size: number,
): Uint16Array {
  const byteLevel = JSON.stringify([parsed['decoder'] ?? null, parsed['pre_tokenizer'] ?? null]).includes(
    '"ByteLevel"',
  );
  const byteFallback = isRecord(parsed['model']) && parsed['model']['byte_fallback'] === true;
  const lengths = new Uint16Array(size);
  for (const [token, id] of inner.get_vocab()) {
    if (typeof token !== 'string') continue;
    if (added.has(id)) lengths[id] = Buffer.byteLength(token);
    else if (byteLevel) lengths[id] = token.length;
    else if (byteFallback && /^<0x[0-9A-F]{2}>$/u.test(token)) lengths[id] = 1;
    // A normalizer that writes ▁ itself leaves it in the normalized text; a Metaspace pre-tokenizer does not.
    else lengths[id] = Buffer.byteLength(writesMetaspace(parsed) ? token : token.replaceAll('▁', ' '));
  }
  return lengths;
}

function writesMetaspace(parsed: JsonRecord): boolean {
  return JSON.stringify(parsed['normalizer'] ?? null).includes('▁');
}
