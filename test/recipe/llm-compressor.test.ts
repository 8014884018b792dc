import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe/load.js';

const file = '/recipes/a.yaml';
const recipe = (quantize: string) =>
  parseRecipe(
    `model: ./m\nmix: {sources: [{dataset: 'builtin:languages'}]}\noutput: ./o\nquantize:\n${quantize.replaceAll(/^/gmu, '  ')}`,
    file,
  );

describe('an llm-compressor recipe in place of quantize', () => {
  it('is read with stages', async () => {
    const { quantize, notes } = await recipe(`quant_stage:
  quant_modifiers:
    AWQModifier:
      duo_scaling: both
      n_grid: 30
      offload_device: cpu
      mappings:
        - smooth_layer: re:.*input_layernorm$
          balance_layers: ['re:.*q_proj$', 're:.*k_proj$', 're:.*v_proj$']
    QuantizationModifier:
      scheme: W4A16_ASYM
      targets: Linear
      ignore: [lm_head, 're:.*mlp.gate$']
`);
    expect(quantize).toMatchObject({
      scheme: { bits: 4, symmetric: false, groupSize: 128 },
      targets: ['Linear'],
      groups: [],
      duoScaling: 'both',
      grid: 30,
      rounding: 'nearest',
      clip: false,
      ignore: ['lm_head', 're:.*mlp.gate$'],
      mappings: [{ smoothLayer: 're:.*input_layernorm$', location: { line: 12 } }],
    });
    expect(notes).toEqual([
      {
        message: 'offload_device has no bearing here: where tensors lie is settled by --memory',
        location: { file, line: 10, column: 9 },
      },
    ]);
  });

  it('is read flat, with config groups of two schemes', async () => {
    const { quantize } = await recipe(`AWQModifier:
  ignore: [lm_head]
  config_groups:
    attention:
      targets: ['re:.*self_attn.*']
      weights: {num_bits: 8, type: int, symmetric: true, strategy: channel}
    experts:
      targets: ['re:.*experts.*']
      weights: {num_bits: 4, type: int, symmetric: true, strategy: group, group_size: 32, observer: mse}
`);
    expect(quantize.groups).toEqual([
      { targets: ['re:.*self_attn.*'], scheme: { bits: 8, symmetric: true, groupSize: 'channel' } },
      { targets: ['re:.*experts.*'], scheme: { bits: 4, symmetric: true, groupSize: 32 } },
    ]);
    expect(quantize.targets).toEqual(['re:.*self_attn.*', 're:.*experts.*']);
    expect(quantize.clip).toBe(true);
  });

  it('takes GPTQModifier after AWQModifier as its rounding', async () => {
    const { quantize } = await recipe(`AWQModifier: {n_grid: 10}
GPTQModifier: {scheme: W4A16, targets: Linear, dampening_frac: 0.05, actorder: static}
`);
    expect(quantize).toMatchObject({ rounding: 'gptq', damping: 0.05, grid: 10 });
  });

  it('is read as a list of named modifiers', async () => {
    const { quantize } = await recipe(`modifiers:
  - name: AWQModifier
    scheme: W8A16
`);
    expect(quantize.scheme).toEqual({ bits: 8, symmetric: true, groupSize: 128 });
  });

  it('smooths nothing without AWQModifier', async () => {
    const { quantize } = await recipe('QuantizationModifier: {scheme: W4A16, ignore: [lm_head]}');
    expect(quantize).toMatchObject({ mappings: [], rounding: 'nearest', clip: false, signedScales: false });
    expect((await recipe('AWQModifier: {scheme: W4A16}')).quantize.mappings).toBeNull();
  });

  it('says that lm_head stays where a recipe means to quantize it', async () => {
    const { notes } = await recipe('AWQModifier: {scheme: W4A16}');
    expect(notes.map(({ message }) => message)).toEqual(['lm_head stays as it is: most runtimes want it unpacked']);
  });

  it.each([
    [
      'AWQModifier: {scheme: W4A16, duo_scalng: true}',
      '5:32: Unknown key "duo_scalng" in "quantize.AWQModifier"; did you mean "duo_scaling"?',
    ],
    ['AWQModifer: {scheme: W4A16}', '5:3: Unknown key "AWQModifer" in "quantize"'],
    ['default_stage: {default_modifiers: {SmoothQuantModifier: {}}}', 'Cannot honour modifier "SmoothQuantModifier"'],
    ['default_stage: {default_modifiers: {}}', '4:1: Cannot honour the recipe: it has no modifier'],
    ['stage: {AWQModifier: {}}\nquant_modifiers: {}', '5:3: Unknown key "stage" in an llm-compressor recipe'],
    ['quant_stage: {run_type: train}', '5:17: Unknown key "run_type"'],
    ['AWQModifier: {scheme: FP8}', '5:25: Cannot honour scheme "FP8": wanted W4A16, W4A16_ASYM, W8A16'],
    ['AWQModifier: {scheme: {W4A16: Linear, NVFP4: "re:.*down_proj"}}', '5:41: Cannot honour scheme "NVFP4"'],
    ['AWQModifier: {scheme: {}}', '5:25: Cannot honour the recipe: it names no scheme'],
    ['AWQModifier: {scheme: W4A16, ignore: ["re:(lm_head"]}', '5:41: Cannot use "re:(lm_head" for'],
    ['AWQModifier: {scheme: W4A16, ignore: [Linear]}', '5:41: Cannot ignore "Linear"'],
    ['AWQModifier: {scheme: W4A16, targets: [Linear, Embedding]}', '5:3: Cannot honour target "Embedding"'],
    ['AWQModifier: {scheme: W4A16, targets: lm_head}', '5:3: Cannot honour target "lm_head": it always stays'],
    ['AWQModifier: {scheme: W4A16, targets: ["re:(?i)A", "re:b"]}', '5:3: Cannot honour the targets together'],
    ['QuantizationModifier: {kv_cache_scheme: {num_bits: 8}}', '5:43: Cannot use {"num_bits":8} for'],
    [
      'AWQModifier: {config_groups: {g: {targets: Linear, weights: {num_bits: 4}}}}',
      '5:63: Cannot honour one scale for a whole tensor',
    ],
    [
      'AWQModifier: {config_groups: {g: {targets: Linear, weights: {strategy: channel, group_size: 64}}}}',
      '5:74: Cannot honour strategy "channel" with group_size 64',
    ],
    [
      'AWQModifier: {config_groups: {g: {targets: Linear, weights: {strategy: group, group_size: -1}}}}',
      '5:74: Cannot honour strategy "group" without group_size',
    ],
    [
      'AWQModifier: {config_groups: {g: {targets: Linear, weights: {strategy: tensor}}}}',
      '5:74: Cannot use "tensor" for',
    ],
    ['AWQModifier: {ignore: [lm_head]}', '5:3: Cannot honour the recipe: none of its modifiers has a scheme'],
    [
      'AWQModifier: {config_groups: {g: {targets: Linear, weights: {num_bits: 8, type: float, group_size: 32}}}}',
      '5:83: Cannot use "float" for "quantize.AWQModifier.config_groups.g.weights.type": wanted int',
    ],
    [
      'AWQModifier: {config_groups: {g: {targets: Linear, weights: {num_bits: 4, group_size: 32}, input_activations: {num_bits: 8}}}}',
      'for "quantize.AWQModifier.config_groups.g.input_activations"',
    ],
    [
      'AWQModifier: {scheme: W4A16}\nGPTQModifier: {actorder: group}',
      '6:28: Cannot use "group" for "quantize.GPTQModifier.actorder"',
    ],
    ['AWQModifier: {scheme: W4A16}\nGPTQModifier: {scheme: W8A16}', '6:3: Cannot honour two different schemes'],
  ])('refuses %j at its place', async (quantize, message) => {
    await expect(recipe(quantize)).rejects.toThrow(message);
  });
});
