import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe/load.js';
import { preparePlan } from '../../src/recipe/plan.js';

describe('preparePlan()', () => {
  it('survives the way to a worker thread', async () => {
    const text = `model: ./m
output: ./o
mix:
  template_arguments: {preserve_thinking: true}
  sources: [{dataset: 'builtin:languages'}]
  clean: {secrets: report, contamination: {lists: [plan.test.ts], ngram: 10}}
`;
    const { mix } = await parseRecipe(text, `${import.meta.dirname}/a.yaml`);
    const plan = preparePlan(mix, '/r/m', 100);
    expect(structuredClone(plan)).toEqual(plan);
    expect(plan).toMatchObject({
      tokenizer: '/r/m',
      templateArguments: { preserve_thinking: true },
      clean: { secrets: 'report', contamination: 'drop', nearDuplicates: 'drop' },
      contamination: { lists: [import.meta.filename], ngram: 10 },
    });
  });

  it('looks for no contamination without lists', async () => {
    const { mix } = await parseRecipe(
      "output: o\nmix: {tokenizer: o200k_base, sources: [{dataset: 'builtin:languages'}]}",
      '/r/a.yaml',
    );
    expect(preparePlan(mix, null, null)).toMatchObject({
      tokenizer: { encoding: 'o200k_base' },
      contamination: null,
      clean: { contamination: 'off' },
    });
  });
});
