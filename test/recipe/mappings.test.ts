import { describe, expect, it } from 'vitest';
import { matchesPattern } from '../../src/checkpoint/module-patterns.js';
import { parseRecipe } from '../../src/recipe/load.js';
import { checkMappings } from '../../src/recipe/mappings.js';

const location = { file: 'r.yaml', line: 3, column: 5 };
const edges = [0, 1].flatMap((layer) => [
  {
    smooth: `model.layers.${layer}.input_layernorm`,
    readers: ['q_proj', 'k_proj', 'v_proj'].map((name) => `model.layers.${layer}.self_attn.${name}`),
  },
  { smooth: `model.layers.${layer}.self_attn.v_proj`, readers: [`model.layers.${layer}.self_attn.o_proj`] },
]);

describe('checkMappings()', () => {
  it('takes mappings that the architecture carries out, and names the edges beyond them', () => {
    const mapping = {
      smoothLayer: 're:.*input_layernorm$',
      balanceLayers: ['re:.*q_proj$', 're:.*k_proj$', 're:.*v_proj$'],
      location,
    };
    expect(checkMappings([mapping], edges).map(({ smooth }) => smooth)).toEqual([
      'model.layers.0.self_attn.v_proj',
      'model.layers.1.self_attn.v_proj',
    ]);
  });

  it('refuses one that it does not, at its line', () => {
    expect(() =>
      checkMappings([{ smoothLayer: 're:.*up_proj$', balanceLayers: ['re:.*down_proj$'], location }], edges),
    ).toThrow(
      'r.yaml:3:5: Cannot honour the mapping of "re:.*up_proj$" to "re:.*down_proj$": the architecture has no such smoothing edge',
    );
    expect(() =>
      checkMappings(
        [{ smoothLayer: 're:.*input_layernorm$', balanceLayers: ['re:.*q_proj$', 're:.*gate$'], location }],
        edges,
      ),
    ).toThrow('to "re:.*gate$"');
  });
});

describe('targets of an imported recipe', () => {
  it('leave every other module as it is', async () => {
    const text = `model: m/m
output: o
mix: {sources: [{dataset: 'builtin:languages'}]}
quantize:
  AWQModifier:
    config_groups:
      experts: {targets: ['re:.*experts.*(gate|up|down)_proj$', 'model.extra'], weights: {num_bits: 4, group_size: 32}}
`;
    const { quantize } = await parseRecipe(text, '/r/a.yaml');
    const ignored = (module: string) => quantize.ignore.some((pattern) => matchesPattern(pattern, module));
    expect(ignored('model.layers.0.self_attn.q_proj')).toBe(true);
    expect(ignored('model.extras')).toBe(true);
    expect(ignored('model.extra')).toBe(false);
    expect(ignored('model.layers.0.mlp.experts.3.up_proj')).toBe(false);
  });
});
