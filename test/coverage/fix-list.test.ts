import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { createCoverageCounter } from '../../src/coverage/count.js';
import { suggestFixes } from '../../src/coverage/fix-list.js';
import { addCounts } from '../../src/mix/balance-counts.js';
import { syntheticRouting, syntheticSequences } from './synthetic.js';

const model = { path: 'm', architecture: 'Qwen3MoeForCausalLM' };
const LAYERS = 3;
const EXPERTS = 24;

function audit(seed: number, sequences: number, floors: Record<string, number> = {}, languages = ['en', 'el', 'ka']) {
  const mix = syntheticSequences({
    seed,
    sequences,
    length: 60,
    languages,
    sources: ['a', 'b'],
    categories: ['chat', 'code'],
  });
  const counter = createCoverageCounter({ sequences: mix, floor: 64, floors, perSequence: true });
  for (let layer = 0; layer < LAYERS; layer++) {
    // The popularity of experts depends on the layer alone, so that mix and pool are of one model.
    counter.add(syntheticRouting(mix, layer, EXPERTS, 2));
  }
  return { mix, coverage: counter.finish({ model }), counts: counter.sparseCounts() };
}

describe('suggestFixes()', () => {
  const pool = audit(2, 300);

  test('its additions bring every cell to the floor that the pool can bring there', () => {
    const { coverage } = audit(1, 12);
    const fixes = suggestFixes({ coverage, candidates: pool.mix, counts: pool.counts });
    expect(fixes.cells.length).toBe(coverage.summary.underFloor);
    expect(fixes.cells.length).toBeGreaterThan(5);
    const available = Float64Array.from(coverage.layers.flatMap(({ routed }) => routed));
    pool.mix.forEach((_, i) => addCounts(pool.counts, available, i));
    const closable = fixes.cells.filter(({ layer, expert }) => available[layer * EXPERTS + expert]! >= 64).length;
    expect(fixes.additions.reduce((sum, { cellsClosed }) => sum + cellsClosed, 0)).toBe(closable);
    expect(fixes.tokens).toBeLessThan(pool.coverage.tokens);
  });

  test('a feeder’s figures agree with its counts', () => {
    const { coverage } = audit(1, 12);
    const fixes = suggestFixes({ coverage, candidates: pool.mix, counts: pool.counts });
    for (const { layer, expert, missing, feeders } of fixes.cells) {
      for (const { source, language, category, available, perThousand, tokensNeeded } of feeders) {
        const own = pool.mix
          .map((s, i) => ({ s, i }))
          .filter(({ s }) => s.source === source && s.language === language && s.category === category);
        const has = new Float64Array(LAYERS * EXPERTS);
        for (const { i } of own) addCounts(pool.counts, has, i);
        expect(has[layer * EXPERTS + expert]).toBe(available);
        const tokens = own.reduce((sum, { s }) => sum + s.inputIds.length, 0);
        expect(perThousand).toBeCloseTo((available / tokens) * 1000, 9);
        expect(tokensNeeded).toBe(available < missing ? null : Math.ceil((missing * tokens) / available));
      }
    }
  });

  test('a language under its floor is added, and the patch is a recipe', () => {
    const { coverage } = audit(1, 12, { ka: 3000 }, ['en', 'el']);
    const fixes = suggestFixes({ coverage, candidates: pool.mix, counts: pool.counts });
    expect(fixes.languages).toEqual([
      { language: 'ka', missing: 3000, available: pool.coverage.languages['ka']!.tokens },
    ]);
    const georgian = fixes.additions.filter(({ language }) => language === 'ka');
    expect(georgian.reduce((sum, { tokens }) => sum + tokens, 0)).toBeGreaterThanOrEqual(
      Math.min(3000, pool.coverage.languages['ka']!.tokens),
    );
    const patch: unknown = parse(fixes.recipePatch);
    expect(patch).toMatchObject({
      mix: {
        tokens: coverage.tokens + fixes.tokens,
        sources: expect.arrayContaining([expect.objectContaining({ dataset: 'a' })]),
      },
      balance: { floor: 64, pool: 8 },
    });
  });

  test('refuses counts of another model', () => {
    const { coverage } = audit(1, 12);
    expect(() => suggestFixes({ coverage, candidates: pool.mix.slice(1), counts: pool.counts })).toThrow(
      'wanted counts of 299 sequences over 72 cells, got 300 over 72',
    );
  });
});
