import { array, assert, boolean, constantFrom, integer, property, record } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CandidatePool, drawOf, type Candidate } from '../../src/mix/candidates.js';
import { selectSequences, shareTargets } from '../../src/mix/select.js';
import type { Sequence } from '../../src/mix/sequence.js';

function sequence(source: string, recordId: string, length: number, window = 0, language = 'el'): Sequence {
  return {
    inputIds: new Int32Array(length),
    channels: new Uint8Array(length),
    language,
    category: 'c',
    source,
    revision: null,
    license: null,
    recordId,
    window,
  };
}

function candidate(source: string, recordId: string, lengths: readonly number[], language = 'el'): Candidate {
  return {
    sequences: lengths.map((length, window) => sequence(source, recordId, length, window, language)),
    draw: drawOf(1, source, recordId),
    tokens: lengths.reduce((sum, length) => sum + length, 0),
  };
}

const many = (source: string, language: string, count: number, length = 10) => ({
  key: { source, language },
  candidates: Array.from({ length: count }, (_, index) =>
    candidate(source, `${language}${index}`, [length], language),
  ).sort((a, b) => a.draw - b.draw),
});
const none = new Map<string, number>();
const tokensOf = (sequences: readonly Sequence[], language?: string) =>
  sequences
    .filter((one) => language === undefined || one.language === language)
    .reduce((sum, { inputIds }) => sum + inputIds.length, 0);

describe('drawOf()', () => {
  it('depends on seed, source and record, and on nothing else', () => {
    expect(drawOf(1, 'a', 'b')).toBe(drawOf(1, 'a', 'b'));
    expect(new Set([drawOf(1, 'a', 'b'), drawOf(2, 'a', 'b'), drawOf(1, 'b', 'b'), drawOf(1, 'a', 'c')]).size).toBe(4);
  });

  it('is uniform', () => {
    const draws = Array.from({ length: 10_000 }, (_, index) => drawOf(42, 's', String(index)));
    const bins = Array.from({ length: 10 }, (_, bin) => draws.filter((draw) => Math.floor(draw * 10) === bin).length);
    // Chi-squared with 9 degrees of freedom; 27.9 is its 0.1 % point.
    expect(bins.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0)).toBeLessThan(27.9);
  });
});

describe('CandidatePool', () => {
  it('keeps the lowest draws of a stratum, whatever order they come in', () => {
    assert(
      property(
        array(integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 60 }),
        integer({ min: 1, max: 400 }),
        (lengths, capacity) => {
          const all = lengths.map((length, index) => candidate('s', String(index), [length]));
          const kept = (order: readonly Candidate[]) => {
            const pool = new CandidatePool(capacity);
            for (const one of order) pool.add({ source: 's', language: 'el' }, one);
            return pool.strata()[0]?.candidates ?? [];
          };
          const rising = [...all].sort((a, b) => a.draw - b.draw);
          const wanted: Candidate[] = [];
          for (let tokens = 0, index = 0; index < rising.length && tokens < capacity; index++) {
            const next = rising[index];
            if (next === undefined) break;
            wanted.push(next);
            tokens += next.tokens;
          }
          expect(kept(all)).toEqual(wanted);
          expect(kept(all.toReversed())).toEqual(wanted);
        },
      ),
    );
  });
});

describe('CandidatePool of many strata', () => {
  const quotas = { sourceWeights: new Map([['s1', 3]]), languageWeights: new Map([['l2', 2]]) };
  const share = (strata: Parameters<typeof shareTargets>[0], budget: number) => shareTargets(strata, budget, quotas);
  const rows = array(
    record({
      source: constantFrom('s0', 's1', 's2'),
      language: constantFrom('l0', 'l1', 'l2', 'l3'),
      tokens: integer({ min: 1, max: 9 }),
    }),
    { minLength: 200, maxLength: 1200 },
  );

  it('stays small, keeps the lowest draws, and enough of them for any share', () => {
    assert(
      property(rows, integer({ min: 20, max: 100 }), boolean(), (drawn, capacity, bySource) => {
        const all = bySource ? drawn.toSorted((a, b) => (a.source < b.source ? -1 : 1)) : drawn;
        const pool = new CandidatePool(capacity, share);
        const seen = new Map<string, Candidate[]>();
        let most = 0;
        for (const [index, { source, language, tokens }] of all.entries()) {
          const one = candidate(source, `${language}-${index}`, [tokens], language);
          const name = `${source} ${language}`;
          seen.set(name, [...(seen.get(name) ?? []), one]);
          pool.add({ source, language }, one);
          if (index % 50 === 0) most = Math.max(most, tokensIn(pool.strata().flatMap(({ candidates }) => candidates)));
        }
        expect(most).toBeLessThanOrEqual(8 * capacity);
        const strata = pool.strata();
        const everything = strata.map(({ key }) => {
          const group = (seen.get(`${key.source} ${key.language}`) ?? []).sort((a, b) => a.draw - b.draw);
          return { key, group, available: tokensIn(group) };
        });
        const targets = share(everything, capacity);
        for (const [index, { candidates }] of strata.entries()) {
          const { group = [], available = 0 } = everything[index] ?? {};
          expect(candidates).toEqual(group.slice(0, candidates.length));
          expect(tokensIn(candidates)).toBeGreaterThanOrEqual(Math.min(available, Math.floor(targets[index] ?? 0)));
        }
      }),
    );
  });

  it('keeps required samples whatever their draw', () => {
    const pool = new CandidatePool(50, share);
    const required = { ...candidate('s0', 'must', [5], 'l0'), draw: 0.999, required: true };
    pool.add({ source: 's0', language: 'l0' }, required);
    for (let index = 0; index < 1000; index++) {
      const language = `l${index % 4}`;
      pool.add({ source: 's0', language }, candidate('s0', `${index}`, [5], language));
    }
    expect(pool.strata()[0]?.candidates[0]).toBe(required);
  });
});

const tokensIn = (candidates: readonly Candidate[]) => candidates.reduce((sum, { tokens }) => sum + tokens, 0);

describe('selectSequences()', () => {
  it('shares the budget by source and language weights', () => {
    const strata = [many('a', 'el', 100), many('a', 'en', 100), many('b', 'el', 100)];
    const { sequences } = selectSequences(strata, {
      tokens: 900,
      sourceWeights: new Map([['a', 2]]),
      languageWeights: new Map([
        ['el', 2],
        ['default', 1],
      ]),
    });
    expect(tokensOf(sequences)).toBe(900);
    expect(tokensOf(sequences.filter(({ source }) => source === 'b'))).toBe(300);
    expect(
      tokensOf(
        sequences.filter(({ source }) => source === 'a'),
        'el',
      ),
    ).toBe(400);
    expect(
      tokensOf(
        sequences.filter(({ source }) => source === 'a'),
        'en',
      ),
    ).toBe(200);
  });

  it('gives what a stratum cannot fill to the others', () => {
    const { sequences, quotas } = selectSequences([many('a', 'el', 3), many('a', 'en', 100)], {
      tokens: 500,
      sourceWeights: none,
      languageWeights: none,
    });
    expect(tokensOf(sequences)).toBe(500);
    expect(quotas.map(({ language, taken, available }) => ({ language, taken, available }))).toEqual([
      { language: 'el', taken: 30, available: 30 },
      { language: 'en', taken: 470, available: 1000 },
    ]);
  });

  it('leaves out what weighs nothing', () => {
    const { sequences } = selectSequences([many('a', 'el', 30), many('a', 'en', 30)], {
      tokens: 1000,
      sourceWeights: none,
      languageWeights: new Map([['en', 0]]),
    });
    expect(tokensOf(sequences, 'en')).toBe(0);
    expect(tokensOf(sequences, 'el')).toBe(300);
  });

  it('takes a window of every sample before a second one of any', () => {
    const strata = [
      {
        key: { source: 'a', language: 'el' },
        candidates: Array.from({ length: 5 }, (_, index) => candidate('a', String(index), [10, 10, 10, 10])),
      },
    ];
    const { sequences } = selectSequences(strata, { tokens: 50, sourceWeights: none, languageWeights: none });
    expect(new Set(sequences.map(({ recordId }) => recordId)).size).toBe(5);
  });

  it('never exceeds the budget, and leaves no room for anything that would fit', () => {
    const stratum = record({
      source: constantFrom('a', 'b'),
      language: constantFrom('el', 'en', 'zh-Hans'),
      lengths: array(integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 20 }),
    });
    assert(
      property(array(stratum, { minLength: 1, maxLength: 6 }), integer({ min: 1, max: 800 }), (groups, tokens) => {
        const strata = groups.map(({ source, language, lengths }, group) => ({
          key: { source: `${source}${group}`, language },
          candidates: lengths.map((length, index) => candidate(`${source}${group}`, String(index), [length], language)),
        }));
        const all = strata.flatMap(({ candidates }) => candidates.flatMap(({ sequences }) => sequences));
        const { sequences } = selectSequences(strata, { tokens, sourceWeights: none, languageWeights: none });
        const left = tokens - tokensOf(sequences);
        expect(left).toBeGreaterThanOrEqual(0);
        expect(new Set(sequences).size).toBe(sequences.length);
        const chosen = new Set(sequences);
        // The next of every stratum does not fit; one further back may, but the draw decides who is next.
        for (const { candidates } of strata) {
          const next = candidates.flatMap((one) => one.sequences).find((one) => !chosen.has(one));
          if (next !== undefined) expect(next.inputIds.length).toBeGreaterThan(left);
        }
        expect(sequences.every((one) => all.includes(one))).toBe(true);
      }),
    );
  });

  it('takes everything without a budget', () => {
    const { sequences } = selectSequences([many('a', 'el', 7)], {
      tokens: null,
      sourceWeights: none,
      languageWeights: none,
    });
    expect(sequences).toHaveLength(7);
  });
});

describe('required samples', () => {
  const required = (name: string, lengths: readonly number[], language = 'el'): Candidate => ({
    ...candidate('a', name, lengths, language),
    required: true,
  });

  it('stay in the pool and come first, whatever their draw', () => {
    const pool = new CandidatePool(30);
    for (let i = 0; i < 20; i++) pool.add({ source: 'a', language: 'el' }, candidate('a', `r${i}`, [10]));
    for (const name of ['must', 'should']) pool.add({ source: 'a', language: 'el' }, required(name, [10]));
    const [stratum] = pool.strata();
    const names = stratum!.candidates.map(({ sequences }) => sequences[0]!.recordId);
    expect(names.slice(0, 2).sort()).toEqual(['must', 'should']);
    expect(names.length).toBeLessThan(6);
  });

  it('are taken with all their windows, even of a weight of 0, and count towards their share', () => {
    const strata = [
      { key: { source: 'a', language: 'el' }, candidates: [required('must', [10, 10, 10])] },
      many('a', 'en', 40),
    ];
    const weights = new Map([
      ['el', 0],
      ['en', 1],
    ]);
    const { sequences } = selectSequences(strata, { tokens: 100, sourceWeights: none, languageWeights: weights });
    expect(sequences.slice(0, 3).map(({ recordId, window }) => `${recordId}:${window}`)).toEqual([
      'must:0',
      'must:1',
      'must:2',
    ]);
    expect(tokensOf(sequences)).toBe(100);
  });

  it('must fit the budget', () => {
    const strata = [{ key: { source: 'a', language: 'el' }, candidates: [required('must', [60, 60])] }];
    const quotas = { tokens: 100, sourceWeights: none, languageWeights: none };
    expect(() => selectSequences(strata, quotas)).toThrow('Cannot include all rows asked for: they exceed 100 tokens');
  });
});

describe('a budget of fewer sequences than there are strata', () => {
  const languages = Array.from({ length: 12 }, (_, index) => `l${String(index).padStart(2, '0')}`);
  const strata = (seed: number) =>
    languages.map((language) => ({
      key: { source: 's', language },
      candidates: Array.from({ length: 4 }, (_, index) => ({
        ...candidate('s', `${language}-${index}`, [500], language),
        draw: drawOf(seed, 's', `${language}-${index}`),
      })).sort((a, b) => a.draw - b.draw),
    }));
  const chosen = (seed: number, languageWeights = none) =>
    selectSequences(strata(seed), { tokens: 1600, sourceWeights: none, languageWeights }).sequences.map(
      ({ language }) => language,
    );

  // It once went by the alphabet: a language with three times the weight of the others got nothing.
  it('goes to those of most weight', () => {
    for (const weighted of languages) expect(chosen(1, new Map([[weighted, 3]]))).toContain(weighted);
  });

  it('goes to others with every seed, where weights are equal', () => {
    const counts = new Map<string, number>();
    for (let seed = 0; seed < 600; seed++) {
      for (const language of chosen(seed)) counts.set(language, (counts.get(language) ?? 0) + 1);
    }
    // 150 each; the standard deviation is 11.
    for (const language of languages) expect(Math.abs((counts.get(language) ?? 0) - 150)).toBeLessThan(50);
  });
});
