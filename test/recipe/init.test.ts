import { describe, expect, it } from 'vitest';
import { initialRecipe, type InitFacts } from '../../src/recipe/init.js';
import { parseRecipe } from '../../src/recipe/load.js';

const facts: InitFacts = {
  model: '../models/polyglot: moe',
  output: '../out: all/moe',
  architecture: 'Qwen3MoeForCausalLM',
  layers: 4,
  experts: 32,
  topK: 4,
  contextLength: 1024,
  groupSize: 128,
  preserveThinking: true,
};

describe('initialRecipe()', () => {
  it('gives a recipe that parses, fitted to the model', async () => {
    const recipe = await parseRecipe(initialRecipe(facts), '/r/recipe.yaml');
    expect(recipe.model).toEqual({ kind: 'folder', path: '/models/polyglot: moe' });
    expect(recipe.output).toBe('/out: all/moe');
    expect(recipe.mix).toMatchObject({
      sequenceLength: 1024,
      tokens: 153_600,
      templateArguments: { preserve_thinking: true },
    });
  });

  it('gives a dense model no expert budget', async () => {
    const recipe = await parseRecipe(
      initialRecipe({ ...facts, experts: 0, topK: 0, preserveThinking: false, model: 'a/b' }),
      '/r/r.yaml',
    );
    expect(recipe.mix.tokens).toBe(262_144);
    expect(recipe.mix.templateArguments).toEqual({});
  });
});
