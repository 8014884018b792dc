import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { balanceOf, summarize } from '../../src/coverage/balance-metrics.js';
import { createCoverageCounter } from '../../src/coverage/count.js';
import type { Coverage } from '../../src/coverage/coverage.js';
import { feedingLanguages } from '../../src/coverage/feeding-languages.js';
import { coverageStability } from '../../src/coverage/stability.js';
import { languageTable } from '../../src/coverage/verdict.js';
import { syntheticRouting, syntheticSequences } from './synthetic.js';

function audit(seed: number, sequences = 24, floor = 64): Coverage {
  const mix = syntheticSequences({ seed, sequences, length: 100, languages: ['el', 'en', 'ka'] });
  const counter = createCoverageCounter({ sequences: mix, floor });
  for (let layer = 0; layer < 2; layer++) counter.add(syntheticRouting(mix, layer, 16, 2));
  return counter.finish({ model: { path: 'm', architecture: 'X' } });
}

describe('balanceOf()', () => {
  test('is 0 and 1 where it should be', () => {
    expect(balanceOf([5, 5, 5, 5])).toEqual({ sigma: 0, cv: 0, gini: 0, entropy: 1 });
    const one = balanceOf([0, 0, 0, 8]);
    // Shares 0, 0, 0, 1 against ¼: σ² = (3·¼² + ¾²)/4.
    expect(one.sigma).toBeCloseTo(Math.sqrt((3 / 16 + 9 / 16) / 4), 12);
    expect(one.cv).toBeCloseTo(Math.sqrt(3), 12);
    expect(one.gini).toBeCloseTo(3 / 4, 12);
    expect(one.entropy).toBe(0);
    expect(balanceOf([0, 0])).toEqual({ sigma: 0, cv: 0, gini: 0, entropy: 1 });
  });

  test('Gini equals half the mean absolute difference over the mean', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(1000), { minLength: 1, maxLength: 30 }), (values) => {
        const total = values.reduce((a, b) => a + b, 0);
        fc.pre(total > 0);
        const differences = values.flatMap((a) => values.map((b) => Math.abs(a - b))).reduce((a, b) => a + b, 0);
        expect(balanceOf(values).gini).toBeCloseTo(differences / (2 * values.length * total), 9);
      }),
    );
  });
});

test('summarize() counts like a loop would', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(400), { minLength: 1 }), { minLength: 1 }), fc.nat(300), (layers, floor) => {
      const all = layers.flat().toSorted((a, b) => a - b);
      const below = (limit: number): number => all.filter((routed) => routed < limit).length;
      expect(summarize(layers, floor)).toMatchObject({
        cells: all.length,
        empty: below(1),
        below: { '16': below(16), '64': below(64), '256': below(256) },
        underFloor: below(floor),
        min: all[0],
        max: all.at(-1),
        p01: all[Math.ceil(all.length / 100) - 1],
      });
    }),
  );
});

describe('coverageStability()', () => {
  test('tells luck from nature', () => {
    const runs = [1, 2, 3].map((seed) => audit(seed));
    const stability = coverageStability(runs);
    const under = (run: Coverage): Set<number> =>
      new Set(run.layers.flatMap(({ routed }) => routed).flatMap((routed, cell) => (routed < 64 ? [cell] : [])));
    const [a, b, c] = runs.map(under);
    const always = [...a!].filter((cell) => b!.has(cell) && c!.has(cell)).length;
    expect(stability).toMatchObject({ runs: 3, cells: 32, always, underFloor: [a!.size, b!.size, c!.size] });
    expect(stability.sometimes).toBe(new Set([...a!, ...b!, ...c!]).size - always);
    expect(stability.variation).toBeGreaterThan(0);
    expect(coverageStability([runs[0]!, runs[0]!])).toMatchObject({ sometimes: 0, variation: 0, sizes: 1 });
  });

  test('refuses audits of different models', () => {
    const other = { ...audit(1), layers: audit(1).layers.slice(1) };
    expect(() => coverageStability([audit(1), other])).toThrow('has other layers or experts');
    expect(() => coverageStability([])).toThrow('at least one');
  });
});

test('feedingLanguages() ranks by routed tokens per token', () => {
  const coverage = audit(1);
  const ranked = feedingLanguages(coverage);
  expect(ranked.length).toBeGreaterThan(0);
  for (const { language, perThousand } of ranked) {
    let reached = 0;
    coverage.layers.forEach(({ routed }, l) => {
      routed.forEach((count, e) => (reached += count < 64 ? coverage.languages[language]!.routed[l]![e]! : 0));
    });
    expect(perThousand).toBeCloseTo((reached * 1000) / coverage.languages[language]!.tokens, 9);
  }
  expect(ranked.map(({ perThousand }) => perThousand)).toEqual(
    ranked.map(({ perThousand }) => perThousand).toSorted((x, y) => y - x),
  );
});

test('languageTable() lists languages that have a floor but no token', () => {
  const mix = syntheticSequences({ seed: 1, sequences: 5, length: 100, languages: ['el'] });
  const coverage = createCoverageCounter({ sequences: mix, floor: 64, floors: { fi: 9 } }).finish({
    model: { path: 'm', architecture: 'X' },
  });
  expect(languageTable(coverage)).toEqual([
    { language: 'el', samples: 5, tokens: coverage.tokens, share: 1, floor: 64, underFloor: false },
    { language: 'fi', samples: 0, tokens: 0, share: 0, floor: 9, underFloor: true },
  ]);
});
