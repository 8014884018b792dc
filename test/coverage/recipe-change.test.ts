import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createCoverageCounter } from '../../src/coverage/count.js';
import { changeAsYaml, changeRecipe, recipeChange } from '../../src/coverage/recipe-change.js';
import { syntheticRouting, syntheticSequences } from './synthetic.js';

const sequences = syntheticSequences({ seed: 1, sequences: 40, length: 60, languages: ['en'], sources: ['a'] });
const counter = createCoverageCounter({ sequences, floor: 64 });
counter.add(syntheticRouting(sequences, 0, 8, 2));
const coverage = counter.finish({ model: { path: 'm', architecture: 'X' } });
const addition = { category: 'chat', sequences: 1, cellsClosed: 1 };
const additions = [
  { ...addition, source: 'pool.jsonl', language: 'el', tokens: coverage.tokens },
  { ...addition, source: 'a', language: 'en', tokens: coverage.tokens / 2 },
];
const change = recipeChange(coverage, additions, {
  sourceWeights: new Map([['a', 4]]),
  languageWeights: new Map([
    ['en', 2],
    ['default', 0],
  ]),
  datasetOf: (source) => (source === 'pool.jsonl' ? '../data/pool.jsonl' : source),
});

test('weights keep what the draw gave, and add what is missing', () => {
  expect(change.tokens).toBe(coverage.tokens * 2.5);
  // As many tokens as the mix has, at the mix's own weight per token; and half as many again of what it has.
  expect(change.sources).toMatchObject([
    { dataset: '../data/pool.jsonl', weight: 4, isNew: true },
    { dataset: 'a', weight: 6, isNew: false },
  ]);
  expect(change.languages).toEqual({ el: 2, en: 3 });
});

test('as a patch it is YAML with the same values', () => {
  expect(parse(changeAsYaml(change))).toEqual({
    mix: {
      tokens: change.tokens,
      sources: [
        { dataset: '../data/pool.jsonl', weight: 4 },
        { dataset: 'a', weight: 6 },
      ],
      languages: { el: 2, en: 3 },
    },
    balance: { floor: 64, pool: 8 },
  });
});

describe('changeRecipe()', () => {
  const recipe = `# mine
model: ./m
mix:
  tokens: 100 # budget
  sources:
    - dataset: a # chats
      weight: 4
  languages: {en: 2, default: 0}
balance: {pool: 16}
output: ./out
`;

  test('changes what it must and keeps the rest, comments too', () => {
    const text = changeRecipe(recipe, change)!;
    expect(text).toMatch(/^# mine\n/);
    expect(text).toContain('# chats');
    expect(parse(text)).toEqual({
      model: './m',
      mix: {
        tokens: change.tokens,
        sources: [
          { dataset: 'a', weight: 6 },
          { dataset: '../data/pool.jsonl', weight: 4 },
        ],
        languages: { en: 3, default: 0, el: 2 },
      },
      balance: { pool: 16, floor: 64 },
      output: './out',
    });
  });

  test('a mix in another file is left alone', () => {
    expect(changeRecipe('mix: ./other.yaml\noutput: ./out\n', change)).toBeNull();
  });
});
