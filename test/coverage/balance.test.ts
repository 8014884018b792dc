import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { selectBalanced, type BalanceOptions } from '../../src/mix/balance.js';
import { selectByQuota, selectRandom } from '../../src/mix/balance-baselines.js';
import { sparseFromRows } from '../../src/mix/balance-counts.js';

const LANGUAGES = ['el', 'en', 'ka'] as const;
const CATEGORIES = ['chat', 'code'] as const;

interface Row {
  readonly cells: readonly number[];
  readonly tokens: number;
  readonly language: string;
  readonly category: string;
}

const CELLS = 6;
const rowOf = (tokens: fc.Arbitrary<number>): fc.Arbitrary<Row> =>
  fc.record({
    cells: fc.array(fc.integer({ min: 0, max: 9 }), { minLength: CELLS, maxLength: CELLS }),
    tokens,
    language: fc.constantFrom(...LANGUAGES),
    category: fc.constantFrom(...CATEGORIES),
  });
const anyLength = fc.integer({ min: 1, max: 12 });

function optionsFor(rows: readonly Row[], rest: Partial<BalanceOptions> = {}): BalanceOptions {
  return {
    candidates: rows.map(({ tokens, language, category }) => ({ tokens, language, category })),
    counts: sparseFromRows(
      rows.map(({ cells }) => cells),
      CELLS,
    ),
    budget: 20,
    floor: 8,
    seed: 1,
    ...rest,
  };
}

function plain(cells: readonly number[], language = 'el'): Row {
  return { cells, tokens: 5, language, category: 'chat' };
}

/** The best objective of any subset within the limits. */
function bruteForce(rows: readonly Row[], { budget, floor, languages = {} }: BalanceOptions): number {
  let best = 0;
  for (let set = 0; set < 1 << rows.length; set++) {
    const picked = rows.filter((_, i) => (set >> i) & 1);
    const tokensOf = (members: readonly Row[]): number => members.reduce((sum, { tokens }) => sum + tokens, 0);
    if (tokensOf(picked) > budget) continue;
    const over = Object.entries(languages).some(
      ([language, { most = Infinity }]) => tokensOf(picked.filter((row) => row.language === language)) > most,
    );
    if (over) continue;
    let sum = 0;
    for (let c = 0; c < CELLS; c++) {
      sum += Math.min(
        floor,
        picked.reduce((total, row) => total + row.cells[c]!, 0),
      );
    }
    best = Math.max(best, sum / (floor * CELLS));
  }
  return best;
}

describe('selectBalanced()', () => {
  test('reaches (1 − 1/e) of the optimum when sequences have one length', () => {
    fc.assert(
      fc.property(fc.array(rowOf(fc.constant(5)), { minLength: 1, maxLength: 9 }), (rows) => {
        const options = optionsFor(rows);
        expect(selectBalanced(options).objective).toBeGreaterThanOrEqual(
          (1 - 1 / Math.E) * bruteForce(rows, options) - 1e-9,
        );
      }),
      { numRuns: 300 },
    );
  });

  test('reaches half of the optimum under language quotas', () => {
    fc.assert(
      fc.property(fc.array(rowOf(fc.constant(5)), { minLength: 1, maxLength: 9 }), (rows) => {
        const options = optionsFor(rows, { languages: { el: { most: 5 }, en: { most: 10 } } });
        expect(selectBalanced(options).objective).toBeGreaterThanOrEqual(bruteForce(rows, options) / 2 - 1e-9);
      }),
      { numRuns: 300 },
    );
  });

  test('reaches half of (1 − 1/e) of the optimum for sequences of any length', () => {
    fc.assert(
      fc.property(fc.array(rowOf(anyLength), { minLength: 1, maxLength: 9 }), (rows) => {
        const options = optionsFor(rows);
        const best = bruteForce(rows, options);
        expect(selectBalanced(options).objective).toBeGreaterThanOrEqual(((1 - 1 / Math.E) / 2) * best - 1e-9);
      }),
      { numRuns: 300 },
    );
  });

  test.each([selectBalanced, selectRandom, selectByQuota])(
    '%o keeps the budget, the quotas, the gate and the order',
    (select) => {
      fc.assert(
        fc.property(
          fc.array(rowOf(anyLength), { maxLength: 30 }),
          fc.integer({ min: 0, max: 60 }),
          fc.integer(),
          (rows, budget, seed) => {
            const options = optionsFor(rows, {
              budget,
              seed,
              languages: { el: { most: 12 }, en: { most: 20, least: 5 } },
              categories: { code: { most: 15 } },
              accepts: (i) => rows[i]!.tokens !== 3,
              fill: { ka: 2, default: 1 },
            });
            const selection = select(options);
            const picked = selection.chosen.map(({ index }) => rows[index]!);
            const tokens = (keep: (row: Row) => boolean): number =>
              picked.filter(keep).reduce((sum, row) => sum + row.tokens, 0);
            expect(selection.tokens).toBe(tokens(() => true));
            expect(selection.tokens).toBeLessThanOrEqual(budget);
            expect(tokens(({ language }) => language === 'el')).toBeLessThanOrEqual(12);
            expect(tokens(({ language }) => language === 'en')).toBeLessThanOrEqual(20);
            expect(tokens(({ category }) => category === 'code')).toBeLessThanOrEqual(15);
            expect(picked.every((row) => row.tokens !== 3)).toBe(true);
            expect(new Set(selection.chosen.map(({ index }) => index)).size).toBe(picked.length);
            expect(selection.refused).toBe(rows.filter((row) => row.tokens === 3).length);
            expect(selection.chosen.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(selection.objective, 9);
            expect(select(options)).toEqual(selection);
          },
        ),
        { numRuns: 100 },
      );
    },
  );

  test('takes must-include rows first and refuses ones that do not fit', () => {
    const rows = [plain([0, 0, 0, 0, 0, 0]), plain([9, 9, 9, 9, 9, 9])];
    expect(selectBalanced(optionsFor(rows, { mustInclude: [0], budget: 10 })).chosen).toMatchObject([
      { index: 0, reason: 'must', gain: 0 },
      { index: 1, reason: 'balance', gain: 1 },
    ]);
    expect(() => selectBalanced(optionsFor(rows, { mustInclude: [0], budget: 4 }))).toThrow(
      "must-include row 0 (5 tokens of 'el') does not fit",
    );
  });

  test('gives back what later choices made superfluous', () => {
    // The first has the largest gain alone, and the other two cover everything it does.
    const rows = [plain([8, 8, 0, 8, 8, 0]), plain([8, 0, 8, 8, 0, 0]), plain([0, 8, 0, 0, 8, 8])];
    const { chosen, objective } = selectBalanced(optionsFor(rows, { budget: 100 }));
    expect(objective).toBe(1);
    expect(chosen.map(({ index }) => index).toSorted((a, b) => a - b)).toEqual([1, 2]);
  });

  test('fills a quota’s least before it balances', () => {
    const rows = [plain([9, 9, 9, 9, 9, 9], 'en'), plain([0, 0, 0, 0, 0, 0], 'ka'), plain([1, 0, 0, 0, 0, 0], 'ka')];
    const { chosen } = selectBalanced(optionsFor(rows, { budget: 10, languages: { ka: { least: 5 } } }));
    expect(chosen.map(({ index, reason }) => [index, reason])).toEqual([
      [2, 'quota'],
      [0, 'balance'],
    ]);
  });

  test('says what is missing, what could close it, and what nothing can', () => {
    const rows = [plain([8, 8, 8, 0, 0, 0]), plain([0, 0, 0, 8, 0, 0]), plain([0, 0, 0, 8, 7, 0])];
    const selection = selectBalanced(optionsFor(rows, { budget: 5 }));
    expect(selection.chosen.map(({ index }) => index)).toEqual([0]);
    expect(selection.missing).toEqual([
      { cell: 3, routed: 0, missing: 8, available: 16 },
      { cell: 4, routed: 0, missing: 8, available: 7 },
      { cell: 5, routed: 0, missing: 8, available: 0 },
    ]);
    expect(selection.closing).toEqual([{ index: 2, gain: 15 }]);
  });

  test('another seed decides ties differently', () => {
    const rows = Array.from({ length: 40 }, (): Row => ({
      cells: [1, 1, 1, 1, 1, 1],
      tokens: 5,
      language: 'el',
      category: 'chat',
    }));
    const pick = (seed: number): number[] =>
      selectBalanced(optionsFor(rows, { seed })).chosen.map(({ index }) => index);
    expect(pick(1)).toEqual(pick(1));
    expect(pick(1)).not.toEqual(pick(2));
  });
});
