import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Sequence } from '../../src/mix/sequence.js';
import { auditSequences } from '../../src/pipeline/audit.js';
import { balanceMix, type BalancedMix } from '../../src/pipeline/balance.js';
import { cellWeights } from '../../src/pipeline/balance-limits.js';
import { buildFromRecipe } from '../../src/pipeline/mix.js';
import { parseRecipe } from '../../src/recipe/load.js';

const MODEL = join(import.meta.dirname, '../models/polyglot-moe-18m');
const MUST = 'multilingual-dialogues/el-3-antigoni';
let cache = '';
beforeAll(async () => {
  cache = await mkdtemp(join(tmpdir(), 'evenkeel-balance-'));
});
afterAll(() => rm(cache, { recursive: true }));

async function last<Event, Result>(run: AsyncGenerator<Event, Result>): Promise<{ events: Event[]; result: Result }> {
  const events: Event[] = [];
  for (;;) {
    const next = await run.next();
    if (next.done === true) return { events, result: next.value };
    events.push(next.value);
  }
}

/** Builds and balances; `passes` are the passes over the model that it took, with their tokens. */
async function build(balance: string, languages = '{}'): Promise<BalancedMix & { passes: number[] }> {
  const recipe = await parseRecipe(
    `model: ${MODEL}
mix:
  tokens: 3000
  sequence_length: 128
  sources: [{dataset: 'builtin:multilingual-dialogues'}, {dataset: 'builtin:coding-agent', weight: 0.2}]
  languages: ${languages}
balance: ${balance}
output: /nowhere
`,
    '/recipes/a.yaml',
  );
  const { mustInclude, pool } = recipe.balance;
  const { result } = await last(buildFromRecipe(recipe.mix, { model: MODEL, pool, mustInclude, workers: 1 }));
  const run = balanceMix(result.mix, { model: MODEL, mix: recipe.mix, balance: recipe.balance, cache });
  const { events, result: balanced } = await last(run);
  const passes = events.flatMap(({ event }) => (event.kind === 'counting' && event.tokens > 0 ? [event.tokens] : []));
  return { ...balanced, passes };
}

const tokensOf = (sequences: readonly Sequence[]): number =>
  sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);

describe('balanceMix()', () => {
  let first: Awaited<ReturnType<typeof build>>;
  beforeAll(async () => {
    first = await build('{floor: 64, pool: 3}');
  });

  it('brings every cell to the floor that the pool can bring there, within the budget', async () => {
    const { mix, balance, coverage } = first;
    expect(balance).not.toBeNull();
    expect(balance!.missing.filter(({ available }) => available >= 64)).toEqual([]);
    expect(tokensOf(mix.sequences)).toBeLessThanOrEqual(3000);
    expect(mix.manifest.tokens).toBe(balance!.tokens);
    expect(balance!.choices).toHaveLength(mix.sequences.length);
    const { result } = await last(auditSequences({ model: MODEL, sequences: mix.sequences, floor: 64 }));
    expect(coverage!.layers.map(({ routed }) => routed)).toEqual(result.coverage.layers.map(({ routed }) => routed));
    expect(coverage!.summary).toEqual(result.coverage.summary);
  });

  it('tells what each choice gained: all of it together', () => {
    const { choices, objective } = first.balance!;
    expect(choices.reduce((sum, { gain }) => sum + gain, 0)).toBeCloseTo(objective, 9);
  });

  it('runs no model for other quotas of the same pool', async () => {
    expect(first.passes.length).toBeGreaterThan(0);
    const again = await build(
      '{floor: 64, pool: 3, languages: {el: {least: 600}}, categories: {coding_agent: {most: 400}}}',
    );
    expect(again.passes).toEqual([]);
    const { languages, categories } = again.coverage!;
    expect(languages['el']!.tokens).toBeGreaterThanOrEqual(600);
    expect(categories['coding_agent']?.tokens ?? 0).toBeLessThanOrEqual(400);
  });

  it('includes the rows it must, with all their windows', async () => {
    const { mix } = await build(`{floor: 64, pool: 3, must_include: {'builtin:multilingual-dialogues': [${MUST}]}}`);
    const windows = mix.sequences.filter(({ recordId }) => recordId === MUST).map(({ window }) => window);
    expect(windows.length).toBeGreaterThan(1);
    expect(windows.toSorted((a, b) => a - b)).toEqual(windows.map((_, i) => i));
  });

  it('takes nothing of a language that weighs 0', async () => {
    const { mix, balance } = await build('{floor: 64, pool: 3}', '{en: 0, ka: 0, default: 1}');
    expect(balance).not.toBeNull();
    expect(mix.sequences.some(({ language }) => language === 'en')).toBe(false);
  });

  it('chooses by beginnings, and tells the truth about what it chose', async () => {
    const { balance, coverage } = await build('{floor: 64, pool: 3, prefix: 32}');
    expect(balance!.pool.prefix).toBe(32);
    expect(balance!.missing).toHaveLength(coverage!.summary.underFloor);
    expect(coverage!.summary.underFloor).toBeLessThanOrEqual(2);
  });

  it('leaves a mix that holds as it was drawn', async () => {
    const { balance, coverage } = await build('{floor: 1, pool: 3}');
    expect(balance).toBeNull();
    expect(coverage!.verdict).toBe('pass');
  });

  it('names the quota that rows to be included exceed', async () => {
    const options = `must_include: {'builtin:multilingual-dialogues': [${MUST}]}, languages: {el: {most: 10}}`;
    await expect(build(`{floor: 64, pool: 3, ${options}}`)).rejects.toThrow(
      /balance\.languages\.el allows 10 tokens, the rows of balance\.must_include take \d+/,
    );
  });
});

it('the narrowest range of layers decides what its cells are worth', () => {
  const layers = [0, 1, 5].map((layer) => ({ layer, experts: 2, topK: 1 }));
  const weights = [
    { from: 1, to: 1, weight: 3 },
    { from: 0, to: 4, weight: 2 },
  ];
  expect(cellWeights(layers, weights)).toEqual([2, 2, 3, 3, 1, 1]);
});
