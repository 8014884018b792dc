import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, property, string } from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';
import { z } from 'zod';
import { checkIds, checkVocabulary, type Tokenizer } from '../../src/text/tokenizer.js';
import { readOracle } from './oracle.js';

const MODEL = 'test/models/polyglot-moe-18m';
const idLists = z.record(z.string(), z.array(z.array(z.int())));
const oracle = readOracle('tokens', z.object({ texts: z.array(z.string()), ids: idLists, withSpecials: idLists }));
const tiktokenOracle = z.object({ model: z.string(), pattern: z.string(), specials: z.array(z.string()) });
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-tokenizer-'));
});

/** A model folder with one of the oracle's trained tokenizers. */
async function modelWith(name: string): Promise<string> {
  const path = await mkdtemp(join(folder, `${name}-`));
  if (name === 'tiktoken') {
    const { model, pattern, specials } = readOracle('tokenizers/tiktoken', tiktokenOracle);
    const base = model.trim().split('\n').length;
    const decoder = Object.fromEntries(specials.map((content, index) => [base + index, { content, special: true }]));
    const parts = pattern.split('|').length;
    // As model code has it: raw strings joined, with a comment between.
    const source = `class TikTokenTokenizer:\n    pat_str = "|".join(\n        [  # ${parts} parts\n            r"""${pattern}""",\n        ]\n    )\n`;
    await writeFile(join(path, 'tiktoken.model'), model);
    await writeFile(join(path, 'tokenization_small.py'), source);
    await writeFile(join(path, 'tokenizer_config.json'), JSON.stringify({ added_tokens_decoder: decoder }));
  } else {
    await writeFile(join(path, 'tokenizer.json'), JSON.stringify(readOracle(`tokenizers/${name}`, z.json())));
  }
  return path;
}

async function tokenizerNamed(name: string): Promise<Tokenizer> {
  if (name === 'polyglot-moe-18m') return loadTokenizer(MODEL);
  if (name === 'cl100k_base' || name === 'o200k_base') return loadTokenizer({ encoding: name });
  return loadTokenizer(await modelWith(name));
}

describe('loadTokenizer()', () => {
  describe.each(Object.keys(oracle.ids))('%s', (name) => {
    let tokenizer: Tokenizer;
    beforeAll(async () => {
      tokenizer = await tokenizerNamed(name);
    });

    it('gives the ids of the Python reference on every fuzz text', () => {
      const different = oracle.texts.filter(
        (text, index) => tokenizer.encode(text).join() !== oracle.ids[name]?.[index]?.join(),
      );
      expect(different).toEqual([]);
    });

    it('adds special tokens as the reference does', () => {
      const wanted = oracle.withSpecials[name] ?? oracle.ids[name]?.slice(0, 40);
      expect(
        wanted?.map((_, index) => [...tokenizer.encode(oracle.texts[index] ?? '', { addSpecialTokens: true })]),
      ).toEqual(wanted);
    });

    it('keeps every id below its vocabulary size', () => {
      expect(Math.max(...(oracle.ids[name] ?? []).flat())).toBeLessThan(tokenizer.vocabularySize);
    });
  });

  it.each(['polyglot-moe-18m', 'byte_level', 'tiktoken', 'o200k_base'])(
    'accounts with %s for every byte of normalized text',
    async (name) => {
      const tokenizer = await tokenizerNamed(name);
      assert(
        property(string({ unit: 'grapheme' }), (text) => {
          const bytes = tokenizer.encode(text).reduce((sum, id) => sum + tokenizer.surfaceBytes(id), 0);
          expect(bytes).toBe(Buffer.byteLength(tokenizer.normalize(text)));
        }),
      );
    },
  );

  it('hashes what decides the ids', async () => {
    const [first, second] = [await loadTokenizer(MODEL), await loadTokenizer(await modelWith('byte_level'))];
    expect(first.sha256).toMatch(/^[0-9a-f]{64}$/u);
    expect(second.sha256).not.toBe(first.sha256);
  });

  it('refuses a folder without a tokenizer', async () => {
    await expect(loadTokenizer(folder)).rejects.toThrow('it has neither tokenizer.json nor tiktoken.model');
  });

  it('refuses a tiktoken.model whose pattern nobody declares', async () => {
    const path = await mkdtemp(join(folder, 'bare-'));
    await writeFile(join(path, 'tiktoken.model'), 'IQ== 0\n');
    await expect(loadTokenizer(path)).rejects.toThrow('no tokenization_*.py beside it declares pat_str');
    await writeFile(join(path, 'tiktoken.model'), 'IQ== 0\nnonsense\n');
    await expect(loadTokenizer(path)).rejects.toThrow('tiktoken.model:2: Cannot read the tokenizer');
  });

  it.each([
    [
      'a merged split',
      { pre_tokenizer: { type: 'Split', pattern: { String: '-' }, behavior: 'MergedWithNext', invert: false } },
      'Split with behavior "MergedWithNext"',
    ],
    [
      '\\G',
      { pre_tokenizer: { type: 'Split', pattern: { Regex: String.raw`\Gx` }, behavior: 'Isolated', invert: false } },
      String.raw`pre_tokenizer pattern with \G`,
    ],
    ['dropout', { model: { type: 'BPE', vocab: {}, merges: [], dropout: 0.1 } }, 'BPE dropout'],
    [
      'single words',
      { added_tokens: [{ id: 0, content: 'ab', single_word: true }] },
      'added token "ab" with single_word',
    ],
    [
      'BertNormalizer',
      { normalizer: { type: 'BertNormalizer', handle_chinese_chars: true } },
      'would not part ideographs',
    ],
    ['Unigram', { model: { type: 'Unigram', vocab: [['a', -1]], unk_id: 0 } }, 'a Unigram model'],
    ['an unknown component', { normalizer: { type: 'Nmt' } }, 'Unknown Normalizer type: Nmt'],
    ['a broken file', null, 'as JSON'],
  ])('refuses %s by name', async (_, change, message) => {
    const path = await mkdtemp(join(folder, 'refused-'));
    const base = { model: { type: 'BPE', vocab: { a: 0 }, merges: [] }, added_tokens: [], ...change };
    await writeFile(join(path, 'tokenizer.json'), change === null ? '{"model": ' : JSON.stringify(base));
    await expect(loadTokenizer(path)).rejects.toThrow(message);
  });
});

describe('checkVocabulary()', () => {
  it('refuses a tokenizer that is larger than the embedding', async () => {
    const tokenizer = await loadTokenizer(MODEL);
    expect(() => checkVocabulary(tokenizer, 16_384, 'm')).not.toThrow();
    expect(() => checkVocabulary(tokenizer, 16_000, 'm')).toThrow(
      "its ids reach 16383, but the model's vocab_size is 16000",
    );
  });

  it('refuses single ids outside it', () => {
    expect(() => checkIds(Int32Array.of(0, 99), 100, 'row 1')).not.toThrow();
    expect(() => checkIds(Int32Array.of(0, 100), 100, 'row 1')).toThrow('Cannot use row 1: token id 100');
  });
});
