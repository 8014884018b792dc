import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readFileSync } from 'node:fs';
import { array, assert, asyncProperty, constantFrom } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { loadContaminationLists } from '../../src/mix/contamination.js';
import { degenerate, repeatedShare, wronglyDecoded } from '../../src/mix/degenerate.js';
import { createDuplicateIndex } from '../../src/mix/duplicates.js';
import { normalizeForComparison } from '../../src/mix/fold.js';
import { signatureOf, similarity } from '../../src/mix/minhash.js';
import { findSecrets } from '../../src/mix/secrets.js';

const row = z.object({ messages: z.array(z.object({ content: z.string().nullable() })) });
/** Every row of two data sets written by hand: what must pass every gate. */
const honest = ['languages', 'multilingual-dialogues'].flatMap((name) =>
  readFileSync(`datasets/${name}/${name}.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .map((line) =>
      row
        .parse(JSON.parse(line))
        .messages.map(({ content }) => content ?? '')
        .join('\n'),
    ),
);

const shingles = (text: string) =>
  new Set(Array.from({ length: text.length - 7 }, (_, index) => text.slice(index, index + 8)));

const fingerprint = (text: string, exact: number) => ({
  exact,
  signature: signatureOf(normalizeForComparison(text)),
});

const jaccard = (a: string, b: string) => {
  const [x, y] = [shingles(a), shingles(b)];
  const common = [...x].filter((shingle) => y.has(shingle)).length;
  return common / (x.size + y.size - common);
};

describe('degenerate()', () => {
  it('passes every honest row, in every script', () => {
    expect(honest.map(degenerate).filter((reason) => reason !== null)).toEqual([]);
  });

  it('names loops by how they compress', () => {
    expect(degenerate('the cat sat on the mat and '.repeat(100))).toMatch(/^compresses to \d\.\d %$/u);
    expect(degenerate('γάτα '.repeat(500))).toMatch(/^compresses/u);
  });

  it('names text that is mostly one paragraph again and again', () => {
    const sentence = honest[3]?.slice(0, 420) ?? '';
    const looped = `${honest[0]?.slice(0, 400) ?? ''}\n${Array.from({ length: 6 }, (_, index) => `${index} ${sentence}`).join('\n')}`;
    expect(degenerate(looped)).toMatch(/8-grams are repeats|compresses/u);
  });

  it('lets short text be', () => {
    expect(degenerate('ha '.repeat(50))).toBeNull();
  });

  it('counts signs as words where there are no spaces', () => {
    expect(repeatedShare('今日は天気がいい。'.repeat(40))).toBeGreaterThan(0.9);
  });
});

describe('wronglyDecoded()', () => {
  it('counts U+FFFD by share', () => {
    expect(wronglyDecoded('caf\uFFFD')).toBe('1 U+FFFD in 4 characters');
    expect(wronglyDecoded(`${'a'.repeat(20_000)}\uFFFD`)).toBeNull();
  });
});

describe('findSecrets()', () => {
  // Put together here, so that no scanner of this repository takes them for the real thing.
  const random = 'q8ZrT2mVx9LkP4sWn7YbJ3hGd6CfA5eRuQ1o';
  it.each([
    ['AWS access key', ['AKIA', 'Q4TZ7KXN2VWM6RJP'].join('')],
    ['GitHub token', `ghp_${random}`],
    ['OpenAI key', `sk-${random}`],
    ['Hugging Face token', ['hf', 'qWzRtYmVxLkPsWnYbJhGdCfAeRuQoTnMkV'].join('_')],
    ['password in a URL', 'postgres://admin:kV9tRq2mZx@db.internal:5432'],
    ['private key', `-----BEGIN RSA PRIVATE KEY-----\n${random.repeat(4)}\n`],
  ])('finds a %s', (name, secret) => {
    expect(findSecrets(`export KEY=${secret} # done`)).toEqual([name]);
  });

  it("leaves documentation's stand-ins alone", () => {
    expect(
      findSecrets(`AKIAIOSFODNN7EXAMPLE sk-${'x'.repeat(40)} ghp_${'0'.repeat(36)} https://user:password@example.org`),
    ).toEqual([]);
  });

  // Only the first of a kind was looked at, and PEM in a tool's JSON has its line ends escaped.
  it('finds one behind a stand-in, and in a string of JSON', () => {
    const key = ['AKIA', 'Q4TZ7KXN2VWM6RJP'].join('');
    expect(findSecrets(`AKIAIOSFODNN7EXAMPLE is none, but ${key} is`)).toEqual(['AWS access key']);
    const pem = ['-----BEGIN', `PRIVATE KEY-----\n${random.repeat(4)}\n`].join(' ');
    expect(findSecrets(JSON.stringify({ file: pem }))).toEqual(['private key']);
  });

  it('finds none in honest rows', () => {
    expect(honest.flatMap(findSecrets)).toEqual([]);
  });
});

describe('signatureOf()', () => {
  it('estimates the Jaccard similarity of shingles', () => {
    const errors = honest.slice(0, 60).map((text, index) => {
      const a = normalizeForComparison(text);
      const cut = Math.floor(a.length * (0.5 + index / 120));
      const b = a.slice(0, cut) + normalizeForComparison(honest[index + 60] ?? '').slice(0, a.length - cut);
      const [x, y] = [signatureOf(a), signatureOf(b)];
      if (x === null || y === null) throw new Error('too short');
      return similarity(x.bins, y.bins) - jaccard(a, b);
    });
    const root = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length);
    expect(root).toBeLessThan(0.05);
  });

  it('tells honest rows apart', () => {
    const index = createDuplicateIndex(0.85);
    const found = honest.map((text, exact) =>
      index.find({ exact, signature: signatureOf(normalizeForComparison(text)) }),
    );
    expect(found.filter((one) => one !== null)).toEqual([]);
  });
});

describe('createDuplicateIndex()', () => {
  it('finds copies, and copies with a few words changed', () => {
    const index = createDuplicateIndex(0.85);
    for (const [exact, text] of honest.entries()) index.find(fingerprint(text, exact));
    expect(index.find(fingerprint(honest[5] ?? '', 5))).toEqual({ kind: 'exact', of: 5, similarity: 1 });
    const changed = honest.map((text, exact) => {
      const words = text.split(' ');
      words[Math.floor(words.length / 2)] = 'changed';
      return index.find(fingerprint(`Please: ${words.join(' ')}`, exact + 10_000))?.of === exact;
    });
    expect(changed.filter(Boolean).length / honest.length).toBeGreaterThan(0.97);
  });

  it('counts what it does not remember', () => {
    const index = createDuplicateIndex(0.85, 10);
    for (const [exact, text] of honest.slice(0, 15).entries()) index.find(fingerprint(text, exact));
    expect(index.forgotten).toBe(5);
    expect(index.find(fingerprint(honest[9] ?? '', 9))).not.toBeNull();
    expect(index.find(fingerprint(honest[10] ?? '', 10))).toBeNull();
  });

  it('grows past its first tables', () => {
    const index = createDuplicateIndex(0.85);
    const texts = Array.from({ length: 3000 }, (_, number) =>
      Array.from({ length: 30 }, (__, word) => ((number * 7919 + word * 104_729) % 99_991).toString(36)).join(' '),
    );
    expect(texts.filter((text, exact) => index.find(fingerprint(text, exact)) !== null)).toEqual([]);
    expect(texts.every((text, exact) => index.find(fingerprint(`${text} `, exact + 10_000))?.of === exact)).toBe(true);
  });
});

describe('loadContaminationLists()', () => {
  it('finds an n-gram of a list in a text, whatever its case and punctuation', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-lists-'));
    const question = 'A train leaves Larisa at nine with seventeen passengers and three of them leave at Volos';
    await writeFile(join(folder, 'bench.jsonl'), `${JSON.stringify({ question, nested: [{ answer: 'fourteen' }] })}\n`);
    await writeFile(join(folder, 'zh.txt'), '小明有五个苹果他吃掉了两个还剩下几个苹果\n');
    const lists = await loadContaminationLists([join(folder, 'bench.jsonl'), join(folder, 'zh.txt')], 8);
    expect(lists.find(`So: "a TRAIN leaves Larisa, at nine; with seventeen passengers…"`)).toMatchObject({
      list: 'bench.jsonl',
    });
    expect(lists.find('问题：小明有五个苹果，他吃掉了两个。')).toMatchObject({ list: 'zh.txt' });
    expect(lists.find('A train leaves Volos at nine')).toBeNull();
    await writeFile(join(folder, 'short.txt'), 'too short\n');
    await expect(loadContaminationLists([join(folder, 'short.txt')], 8)).rejects.toThrow(
      'none of its texts has 8 words',
    );
    await expect(loadContaminationLists([join(folder, 'none.txt')], 8)).rejects.toThrow(
      'Cannot read the contamination list',
    );
    await writeFile(join(folder, 'bad.jsonl'), '{"a": 1}\n{oops\n');
    await expect(loadContaminationLists([join(folder, 'bad.jsonl')], 8)).rejects.toThrow('bad.jsonl:2: Cannot parse');
  });

  it('finds every n-gram of its lists, and none else', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-ngrams-'));
    const word = constantFrom('α', 'b', 'c', '字');
    const wordsOf = (text: string) => text.match(/[αbc]+|字/gu) ?? [];
    await assert(
      asyncProperty(
        array(word, { minLength: 3, maxLength: 12 }),
        array(word, { maxLength: 30 }),
        async (list, words) => {
          await writeFile(join(folder, 'list.txt'), `${list.join(' ')}\n`);
          const lists = await loadContaminationLists([join(folder, 'list.txt')], 3);
          const grams = (all: readonly string[]) =>
            all.slice(2).map((_, start) => all.slice(start, start + 3).join(' '));
          const wanted = grams(wordsOf(words.join(' '))).find((gram) => grams(wordsOf(list.join(' '))).includes(gram));
          expect(lists.find(words.join(' '))?.ngram).toBe(wanted);
        },
      ),
    );
  });
});
