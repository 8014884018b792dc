import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { conform } from '../../src/engine/conform.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { planModel } from '../../src/model/registry.js';
import { FOLDERS } from './folders.js';

describe('transformers computes the same', () => {
  it.each([...FOLDERS])('%s', async (_name, path) => {
    const { tensors, logits, router } = await conform(path, { lanes: 1 });
    expect(logits.error).toBeLessThanOrEqual(logits.tolerance);
    expect(router.different).toBe(0);
    // Far below the tolerance: a wrong epsilon or a rounded constant must not hide in it.
    for (const { name, error, magnitude } of tensors) expect(error / magnitude, name).toBeLessThan(5e-5);
    const checkpoint = openCheckpoint(path);
    const sparse = planModel(checkpoint).layers.filter(({ feedForward }) => feedForward.kind === 'moe');
    checkpoint.close();
    if (sparse.length > 0) expect(router.tokens).toBeGreaterThan(0);
  });
});

describe('an architecture that is not known', () => {
  it('is refused with its name, what is near, and where to read on', () => {
    const { config, ...rest } = openCheckpoint(FOLDERS.get('qwen3_moe')!);
    const unknown = { ...rest, config: { ...config, architectures: ['Qwen9MoeForCausalLM'], model_type: 'qwen9_moe' } };
    expect(() => planModel(unknown)).toThrow(/'Qwen9MoeForCausalLM'.*qwen3_moe.*docs\/add-an-architecture\.md/);
    expect(planModel(unknown, 'qwen3_moe').family).toBe('qwen3_moe');
    expect(() => planModel(unknown, 'qwen')).toThrow(/assume family 'qwen'.*qwen3_moe/);
    rest.close();
  });
});

describe('a config that disagrees with the tensors about experts', () => {
  it.each([
    ['olmoe', 'num_experts'],
    ['gpt_oss', 'num_local_experts'],
    ['deepseek_v3', 'n_routed_experts'],
    ['ernie4_5_moe', 'moe_num_experts'],
  ])('of %s is refused by its key, be they more or fewer', (name, key) => {
    const { config, ...rest } = openCheckpoint(FOLDERS.get(name)!);
    const stored = Number(config[key]);
    for (const count of [stored - 1, stored + 8]) {
      const changed = { ...rest, config: { ...config, [key]: count } };
      expect(() => planModel(changed)).toThrow(
        new RegExp(
          `read config.json: wanted "${key}" as ${stored}, the experts of 'model.* in the checkpoint, got ${count}$`,
        ),
      );
    }
    rest.close();
  });
});

describe('a multimodal checkpoint', () => {
  it('keeps its towers and projectors', () => {
    const checkpoint = openCheckpoint(FOLDERS.get('llama4_multimodal')!);
    const patterns = planModel(checkpoint).kept.map(({ pattern }) => pattern);
    checkpoint.close();
    expect(patterns).toContain('re:(.*\\.)?vision_model\\..*');
    expect(patterns).toContain('re:(.*\\.)?multi_modal_projector\\..*');
    expect(patterns).toContain('re:.*lm_head$');
  });

  it('keeps the vision part of the hub layout, whose decoder lies inside `model`', () => {
    const checkpoint = openCheckpoint(FOLDERS.get('qwen3_5_moe_hub')!);
    const patterns = planModel(checkpoint).kept.map(({ pattern }) => pattern);
    checkpoint.close();
    expect(patterns).toContain('re:(.*\\.)?visual\\..*');
    expect(patterns).toContain('re:.*linear_attn\\.in_proj_(a|b|ba)$');
  });
});

describe('a layer for multi-token prediction', () => {
  it('is kept, and no part of the decoder', () => {
    const stored = openCheckpoint(FOLDERS.get('deepseek_v3')!);
    const { layers } = planModel(stored);
    const extra = `model.layers.${layers.length}.eh_proj.weight`;
    const infos = new Map([...stored.infos, [extra, stored.infos.get('lm_head.weight')!]]);
    const plan = planModel({ ...stored, infos });
    stored.close();
    expect(plan.layers).toHaveLength(layers.length);
    expect(plan.kept.map(({ pattern }) => pattern)).toContain(`re:.*layers\\.${layers.length}\\..*`);
  });
});

describe('latent attention', () => {
  it('is a trap for SGLang alone', () => {
    const checkpoint = openCheckpoint(FOLDERS.get('deepseek_v3')!);
    const { targetTraps = [], kept } = planModel(checkpoint);
    checkpoint.close();
    expect(targetTraps.map(({ runtime }) => runtime)).toEqual(['sglang']);
    expect(kept.every(({ pattern }) => !pattern.includes('self_attn'))).toBe(true);
  });
});

describe('fused experts', () => {
  it.each(['llama4_text', 'gpt_oss', 'granitemoe'])('of %s are named one by one, as a writer must', (name) => {
    const path = FOLDERS.get(name)!;
    const checkpoint = openCheckpoint(path);
    const { feedForward, prefix } = planModel(checkpoint).layers[1]!;
    checkpoint.close();
    if (feedForward.kind !== 'moe') throw new Error('wanted experts');
    const config = JSON.parse(readFileSync(`${path}/config.json`, 'utf8')) as { num_local_experts: number };
    expect(feedForward.experts).toHaveLength(config.num_local_experts);
    const block = { llama4_text: 'feed_forward', gpt_oss: 'mlp', granitemoe: 'block_sparse_moe' }[name];
    const modules = Object.values(feedForward.experts[2]!).map(({ module }: { module: string }) => module);
    expect(modules).toEqual(['gate', 'up', 'down'].map((part) => `${prefix}.${block}.experts.2.${part}_proj`));
  });
});
