import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { planModel } from '../../src/model/registry.js';
import { checkRuntimes, limitsOf } from '../../src/pipeline/runtimes.js';
import { quantizeSettings } from '../../src/pipeline/settings.js';
import { parseRecipe } from '../../src/recipe/load.js';
import { folder } from '../model/folders.js';

async function plannedLimits(model: string, quantize: string) {
  const path = folder(model);
  const recipe = await parseRecipe(
    `model: ${path}\nmix: {sources: [{dataset: 'builtin:languages'}]}\nquantize: ${quantize}\noutput: /nowhere\n`,
    '/recipes/a.yaml',
  );
  const checkpoint = openCheckpoint(path);
  try {
    const limits = limitsOf(checkpoint, planModel(checkpoint), quantizeSettings(recipe.quantize, checkpoint));
    return { limits, runtimes: recipe.quantize.runtimes };
  } finally {
    checkpoint.close();
  }
}

describe('a run for named runtimes', () => {
  it('is refused when one of them would not load the checkpoint', async () => {
    const { limits, runtimes } = await plannedLimits(
      'qwen3_moe',
      '{scheme: W4A16_ASYM, group_size: 32, runtimes: [vllm, transformers]}',
    );
    expect(() => checkRuntimes(runtimes, limits)).toThrow(
      /^quantize for vllm, transformers: transformers does not take '.*experts\.0\.\w+_proj': asymmetric experts/,
    );
    expect(checkRuntimes(['vllm'], limits).join('\n')).toContain('need a vLLM with #44025');
  });

  it('is refused for latent attention that SGLang cannot unpack, until it is ignored', async () => {
    const quantized = await plannedLimits('deepseek_v3', '{group_size: 32}');
    expect(() => checkRuntimes(['sglang'], quantized.limits)).toThrow(
      /latent attention.*add 're:\.\*self_attn\\\.\.\*' to ignore/,
    );
    const ignored = await plannedLimits(
      'deepseek_v3',
      String.raw`{group_size: 32, ignore: [lm_head, 're:.*self_attn\..*']}`,
    );
    expect(checkRuntimes(['sglang'], ignored.limits).every((warning) => !warning.includes('does not take'))).toBe(true);
  });

  it('goes on for the others', async () => {
    const { limits } = await plannedLimits('deepseek_v3', '{group_size: 32}');
    expect(checkRuntimes(['transformers'], limits)).toEqual([]);
  });
});

describe('a run for no runtime in particular', () => {
  it('says what some runtime will not load, and nothing where all do', async () => {
    const asymmetric = await plannedLimits('qwen3_moe', '{scheme: W4A16_ASYM, group_size: 32}');
    expect(checkRuntimes([], asymmetric.limits)).toEqual([
      expect.stringMatching(/^warning: transformers does not take/),
      expect.stringMatching(/^warning: sglang does not take/),
    ]);
    const symmetric = await plannedLimits('qwen3_moe', '{group_size: 32}');
    expect(checkRuntimes([], symmetric.limits)).toEqual([]);
  });

  it('says who does not load layers whose experts differ', async () => {
    const groups = "[{targets: ['re:.*layers.0.mlp.experts.*'], scheme: W8A16, group_size: 32}]";
    const { limits } = await plannedLimits('qwen3_moe', `{group_size: 32, groups: ${groups}}`);
    expect(checkRuntimes([], limits)).toEqual([
      expect.stringMatching(/^warning: transformers does not take .*one scheme for the experts of all layers/),
    ]);
    expect(() => checkRuntimes(['transformers'], limits)).toThrow(/one scheme for the experts of all layers/);
    expect(checkRuntimes(['vllm'], limits).join('\n')).toContain('8-bit experts by group');
  });

  it('is refused for Linears that the format cannot hold', async () => {
    const groups = "[{targets: ['re:.*self_attn.*'], scheme: W8A16, group_size: 32}]";
    await expect(plannedLimits('qwen3_moe', `{format: autoawq, group_size: 32, groups: ${groups}}`)).rejects.toThrow(
      "quantize 'model.layers.0.self_attn.q_proj' to autoawq: wanted 4 bits, got 8",
    );
  });
});
