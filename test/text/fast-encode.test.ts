import { readFileSync } from 'node:fs';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { array, assert, constantFrom, oneof, property, string } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createAddedTokenSplitter } from '../../src/text/added-tokens.js';
import { createFastEncode } from '../../src/text/fast-encode.js';
import { createPairCutter } from '../../src/text/mergeable-pairs.js';
import { createWordCache, ID_BITS, MOST_IDS } from '../../src/text/word-cache.js';
import { readOracle } from './oracle.js';

const { texts } = readOracle('tokens', z.object({ texts: z.array(z.string()) }));
const json = z.record(z.string(), z.json());

/** The tokenizers of the oracle, and of others what sets them apart. */
const TOKENIZERS: Readonly<Record<string, () => z.output<typeof json>>> = {
  'polyglot-moe-18m': () => json.parse(JSON.parse(readFileSync('test/models/polyglot-moe-18m/tokenizer.json', 'utf8'))),
  'byte-level, split by pattern': () => readOracle('tokenizers/byte_level', json),
  'byte-level with its own pattern': () => ({
    ...readOracle('tokenizers/byte_level', json),
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
  }),
  'byte-level after several stages': () => ({
    ...readOracle('tokenizers/byte_level', json),
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: String.raw`\p{N}{1,3}` }, behavior: 'Isolated', invert: false },
        { type: 'Punctuation', behavior: 'Isolated' },
        { type: 'ByteLevel', add_prefix_space: false, use_regex: false },
      ],
    },
  }),
  'byte-level, added tokens that are normalized': () => ({
    ...readOracle('tokenizers/byte_level', json),
    normalizer: { type: 'Sequence', normalizers: [{ type: 'NFC' }, { type: 'Lowercase' }] },
    added_tokens: [
      { id: 0, content: '<s>', special: true, normalized: false },
      { id: 1, content: '<|IM_START|>', special: false, normalized: true },
    ],
  }),
  'byte-level, added tokens that take the space beside them': () => ({
    ...readOracle('tokenizers/byte_level', json),
    added_tokens: [
      { id: 0, content: '<s>', special: true, rstrip: true },
      { id: 1, content: '<|im_start|>', special: true, lstrip: true },
      { id: 2, content: '<|im_end|>', special: true, lstrip: true, rstrip: true },
    ],
  }),
  'characters with bytes to fall back on': () => readOracle('tokenizers/byte_fallback', json),
  'characters, a space before the first': () => ({
    ...readOracle('tokenizers/byte_fallback', json),
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false },
  }),
};

describe('createFastEncode()', () => {
  describe.each(Object.entries(TOKENIZERS))('%s', (_, read) => {
    const parsed = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, ...read() };
    const library = new HuggingFaceTokenizer(parsed, {});
    const fast = createFastEncode(library, {});
    const same = (text: string) => {
      const wanted = library.encode(text, { add_special_tokens: false }).ids;
      expect(fast?.(text)?.join(), JSON.stringify(text)).toBe(wanted.join());
    };

    it('gives the ids of the library on the fuzz texts, at first and from the cache', () => {
      expect(fast).not.toBeNull();
      for (const text of [...texts, ...texts]) same(text);
    });

    it('gives the ids of the library on anything with added tokens in it', () => {
      const tokens = [...library.get_added_tokens_decoder().values()].map(({ content }) => content);
      const piece = oneof(
        string({ unit: 'grapheme' }),
        string({ unit: 'binary' }),
        constantFrom(...tokens, ' ', '▁', '\n'),
      );
      assert(property(array(piece, { maxLength: 8 }), (pieces) => same(pieces.join(''))));
    });
  });

  it.each([
    ['a space before every word', { pre_tokenizer: { type: 'ByteLevel', add_prefix_space: true, use_regex: true } }],
    ['a stage that it does not know', { pre_tokenizer: { type: 'WhitespaceSplit' } }],
  ])('leaves the library alone with %s', (_, change) => {
    const parsed = { ...readOracle('tokenizers/byte_level', json), normalizer: null, ...change };
    expect(createFastEncode(new HuggingFaceTokenizer(parsed, {}), {})).toBeNull();
  });

  it('gives nothing for a text with an id that the vocabulary lacks', () => {
    const vocab = Object.fromEntries(Array.from(PROBED, (character, id) => [character, id]));
    const parsed = {
      added_tokens: [],
      normalizer: null,
      pre_tokenizer: { type: 'Split', pattern: { Regex: '[^q]' }, behavior: 'Isolated', invert: false },
      post_processor: null,
      decoder: null,
      model: { type: 'BPE', unk_token: '<unk>', vocab, merges: [] },
    };
    const fast = createFastEncode(new HuggingFaceTokenizer(parsed, {}), {});
    expect(fast?.('aa')).toHaveLength(2);
    expect(fast?.('aqa')).toBeNull();
  });
});

/** Every character of the probes but q. */
const PROBED = new Set(
  Array.from(
    "I'LL pay 12345,67 € – it's  fine.\r\n\tdef f(x):return Ελληνικά, русский, עברית, العربية, हिन्दी, ไทย" +
      '日本語の文字、한국어。e\u0301ﬁ\u00a0\u3000İ👩👧🇬🇷\u200d\ud800',
  ),
);

describe('createWordCache()', () => {
  it('knows the last words added, whatever came before them', () => {
    const cache = createWordCache();
    const read = (word: string) => {
      const place = cache.find(word);
      const start = place >> ID_BITS;
      return place < 0 ? null : [...cache.ids().subarray(start, start + (place & MOST_IDS))];
    };
    const idsOf = (number: number) => Array.from({ length: number % 5 }, (_, at) => number + at);
    cache.add('in use', [1, 2, 3]);
    for (let number = 0; number < 300_000; number++) {
      cache.add(`word ${number}`, idsOf(number));
      if (number % 10_000 === 0) expect(read('in use')).toEqual([1, 2, 3]);
      if (number % 1_000 === 0) expect(read(`word ${number}`)).toEqual(idsOf(number));
    }
    expect(read('word 0')).toBeNull();
    expect(read('word 299999')).toEqual(idsOf(299_999));
  });

  it('does not remember what has more ids than it can count', () => {
    const cache = createWordCache();
    cache.add(
      'long',
      Array.from({ length: MOST_IDS + 1 }, () => 7),
    );
    expect(cache.find('long')).toBe(-1);
  });
});

describe('createPairCutter()', () => {
  it('cuts only where no token has both characters', () => {
    const cut = createPairCutter(['▁the', '▁▁', 'é👩', 'ab']);
    expect(cut('▁the▁▁abé👩ba')).toEqual(['▁the', '▁▁', 'ab', 'é👩', 'b', 'a']);
    expect(cut('')).toEqual([]);
  });
});

describe('createAddedTokenSplitter()', () => {
  it('prefers the longer of two tokens, wherever it stands', () => {
    const token = (content: string, id: number) => ({ content, id, lstrip: false, rstrip: false });
    const split = createAddedTokenSplitter([token('<a>', 1), token('<a><b>', 2), token('.*', 3)]);
    const parts: (string | number)[] = [];
    split('x<a><b>.*<a>y', (text, id) => parts.push(id ?? text));
    expect(parts).toEqual(['x', 2, 3, 1, 'y']);
  });
});
