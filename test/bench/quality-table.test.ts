import { describe, expect, it } from 'vitest';
import { parseResults, qualityTable, type Result } from '../../bench/quality-table.js';

const DEFAULTS = { symmetric: 'default', asymmetric: 'asymmetric, default' };
const result = (name: string, seed: number, kl: number, changes: Partial<Result> = {}): Result => ({
  name,
  seed,
  symmetric: true,
  tokens: 1024,
  kl,
  worse: 1,
  languages: 10,
  ...changes,
});
const rounding = (seed: number): Result => result('rounding', seed, 0.1 + seed / 100, { worse: 0, languages: 0 });

describe('qualityTable()', () => {
  it('merges parts split by seed and by variant, plain rounding in each', () => {
    const parts = [
      [rounding(0), result('a', 0, 0.08)],
      [rounding(1), result('a', 1, 0.09)],
      [rounding(1), result('default', 1, 0.08)],
      [rounding(0), result('default', 0, 0.07)],
    ].map((part) => part.map((line) => JSON.stringify(line)).join('\n'));
    // Two seeds: t = 12.706 times the standard error, 5, of 80 and 90. The differences are 10 and 10.
    expect(qualityTable(parts.flatMap(parseResults), DEFAULTS).split('\n').slice(2)).toEqual([
      '| rounding | 105.0 ±63.5 | 30.0 ±0.0 |  |',
      '| a | 85.0 ±63.5 | 10.0 ±0.0 | 2 of 20 |',
      '| default | 75.0 ±63.5 |  | 2 of 20 |',
    ]);
  });

  it('leaves the interval of one seed out', () => {
    expect(qualityTable([result('a', 4, 0.08)], DEFAULTS)).toContain('one seed');
    expect(qualityTable([result('a', 4, 0.08)], DEFAULTS)).toContain('| a | 80.0 |  | 1 of 10 |');
  });

  it('refuses parts that do not belong together', () => {
    const merge = (...results: Result[]) => qualityTable(results, DEFAULTS);
    expect(() => merge(result('a', 0, 0.08), result('a', 1, 0.08), result('b', 0, 0.07))).toThrow('b has no seed 1');
    expect(() => merge(result('a', 0, 0.08), result('a', 0, 0.09))).toThrow('a, seed 0 has a KL of 0.08 and of 0.09');
    expect(() => merge(result('a', 0, 0.08), result('b', 0, 0.08, { tokens: 512 }))).toThrow('has 512 tokens');
  });
});
