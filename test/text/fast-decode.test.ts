import { readFileSync } from 'node:fs';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { array, assert, integer, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { createFastDecode, decodeByLibrary } from '../../src/text/fast-decode.js';
import { readOracle } from './oracle.js';

const json = z.record(z.string(), z.json());
const around = { added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
const BYTE_LEVEL: Readonly<Record<string, () => z.output<typeof json>>> = {
  'polyglot-moe-18m': () => json.parse(JSON.parse(readFileSync('test/models/polyglot-moe-18m/tokenizer.json', 'utf8'))),
  'the byte-level oracle': () => readOracle('tokenizers/byte_level', json),
};

describe('createFastDecode()', () => {
  describe.each(Object.entries(BYTE_LEVEL))('%s', (_, read) => {
    const library = new HuggingFaceTokenizer({ ...around, ...read() }, {});
    const size = Math.max(...library.get_vocab().values()) + 1;
    const fast = createFastDecode(library);

    it('gives the texts of the library, for ids in any order, of added tokens and of none', () => {
      expect(fast).not.toBeNull();
      // Beyond the vocabulary, and most often among its first tokens, where the special ones are.
      const id = integer({ min: 0, max: 9 }).chain((n) => integer({ min: 0, max: n < 5 ? 40 : size + 2 }));
      assert(
        property(array(id, { maxLength: 40 }), (ids) => {
          const some = Int32Array.from(ids);
          expect(fast?.(some)).toBe(decodeByLibrary(library, some));
        }),
        { numRuns: 500 },
      );
    });

    it('gives every token of the library by itself', () => {
      for (let id = 0; id < size; id++) {
        const one = Int32Array.of(id);
        expect(fast?.(one)).toBe(decodeByLibrary(library, one));
      }
    });

    it('gives back long texts whole', () => {
      const text = 'Ελληνικά, עברית, हिन्दी, 日本語。👩‍👩‍👧 '.repeat(1_000);
      const { ids } = library.encode(text, { add_special_tokens: false });
      expect(fast?.(Int32Array.from(ids))).toBe(text);
    });
  });

  it('leaves a vocabulary with an absurd id to the library', () => {
    const parsed = z.looseObject({ model: z.looseObject({ vocab: z.record(z.string(), z.number()) }) });
    const { model, ...rest } = parsed.parse(readOracle('tokenizers/byte_level', json));
    const vocab = { ...model.vocab, far: 2 ** 31 };
    expect(
      createFastDecode(new HuggingFaceTokenizer({ ...around, ...rest, model: { ...model, vocab } }, {})),
    ).toBeNull();
  });

  it('leaves other decoders to the library', () => {
    expect(
      createFastDecode(new HuggingFaceTokenizer({ ...around, ...readOracle('tokenizers/byte_fallback', json) }, {})),
    ).toBeNull();
  });
});
