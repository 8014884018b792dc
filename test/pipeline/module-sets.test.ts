import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { planModel } from '../../src/model/registry.js';
import { checkModuleSets } from '../../src/pipeline/module-sets.js';
import { parseRecipe } from '../../src/recipe/load.js';
import { folder } from '../model/folders.js';

const directory = mkdtempSync(join(tmpdir(), 'evenkeel-sets-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function check(model: string, quantize: string): Promise<void> {
  writeFileSync(join(directory, 'quantize.yaml'), quantize);
  const text = `model: ./m\nmix: {sources: [{dataset: 'builtin:languages'}]}\nquantize: ./quantize.yaml\noutput: ./o\n`;
  const recipe = await parseRecipe(text, join(directory, 'recipe.yaml'));
  const checkpoint = openCheckpoint(folder(model));
  const plan = planModel(checkpoint);
  checkpoint.close();
  checkModuleSets(plan, recipe.quantize);
}

describe('a recipe that takes only a part of what runtimes hold in one tensor is refused at its place', () => {
  it.each([
    [
      'one expert ignored',
      `ignore:\n  - lm_head\n  - re:.*experts\\.3\\..*\n`,
      /quantize\.yaml:3:5: Cannot write '.*experts\.0\.gate_proj' as W4A16.* and '.*experts\.3\.gate_proj' as it is/,
    ],
    [
      'one projection of all experts in another scheme',
      `groups: [{targets: ['re:.*experts.*down_proj$'], scheme: W8A16, group_size: 32}]\n`,
      /quantize\.yaml:1:21: Cannot write '.*gate_proj' as W4A16, .* and '.*down_proj' as W8A16, symmetric, group 32/,
    ],
    [
      "an imported recipe's group of v alone",
      `QuantizationModifier:
  ignore: [lm_head]
  config_groups:
    rest: {targets: [Linear], weights: {num_bits: 4, group_size: 32}}
    value: {targets: ['re:.*v_proj$'], weights: {num_bits: 8, group_size: 32}}
`,
      /quantize\.yaml:5:23: Cannot write '.*q_proj' as W4A16, .* and '.*v_proj' as W8A16/,
    ],
    [
      "an imported recipe's targets",
      `GPTQModifier: {scheme: W4A16, targets: ['re:.*experts\\.[0-3]\\..*'], ignore: [lm_head]}\n`,
      /quantize\.yaml:1:1: Cannot write '.*experts\.0\.gate_proj' as W4A16.* and '.*experts\.4\.gate_proj' as it is/,
    ],
  ])('%s', async (_, quantize, message) => {
    await expect(check('qwen3_moe', quantize)).rejects.toThrow(message);
  });
});

describe('a recipe may tell apart', () => {
  it.each([
    ['qwen3_moe', "groups: [{targets: ['re:.*layers\\.0\\..*experts.*'], scheme: W8A16}]"],
    ['qwen3_moe', "groups: [{targets: ['re:.*self_attn\\.(q|k|v)_proj$'], scheme: W8A16}]\nignore: ['re:.*o_proj$']"],
    ['deepseek_v3', "ignore: ['re:.*shared_experts.*', 're:.*self_attn\\..*']"],
    ['llama', "ignore: ['re:.*down_proj$']"],
    // The router always stays: naming it or not makes no difference.
    ['mixtral', "groups: [{targets: ['re:.*block_sparse_moe.*'], scheme: W8A16, group_size: channel}]"],
  ])('%s: %s', async (model, quantize) => {
    await expect(check(model, quantize)).resolves.toBeUndefined();
  });
});
