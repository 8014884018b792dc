import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { applyEdge, noSmoothing, type Smoothing } from '../../src/engine/smoothing.js';
import type { ModelPlan, SmoothingEdge } from '../../src/model/plan.js';
import { planModel } from '../../src/model/registry.js';
import { createScratch } from '../../src/runtime/scratch.js';
import { createSessionCache } from '../../src/runtime/sessions.js';
import { createWeightReader } from '../../src/runtime/weights.js';
import { folder, FOLDERS } from './folders.js';
import { referenceLogits } from './in-process.js';
import { smoothedReader } from './smoothed-reader.js';

/** Two roundings of f32 per weight, and what later layers make of them. */
const TOLERANCE = 1e-4;
/** Scales between 1/3 and 3: wide enough that a reader left out is off by far more than the tolerance. */
const LOG_RANGE = Math.log(3);

function allEdges(plan: ModelPlan): SmoothingEdge[] {
  return plan.layers.flatMap(({ edges }) => edges);
}

function randomSmoothing(edges: readonly SmoothingEdge[], seed: number): Smoothing {
  const smoothing = noSmoothing();
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 32;
  };
  for (const edge of edges) {
    const scales = Float32Array.from({ length: edge.readers[0]!.inFeatures }, () =>
      Math.exp((2 * random() - 1) * LOG_RANGE),
    );
    applyEdge(smoothing, edge, scales);
  }
  return smoothing;
}

describe('smoothing changes no logit', () => {
  it.each([...FOLDERS])('%s', async (_name, path) => {
    const checkpoint = openCheckpoint(path);
    const plan = planModel(checkpoint);
    const stored = createWeightReader(checkpoint);
    const model = { checkpoint, plan, reader: stored, sessions: createSessionCache(), scratch: createScratch() };
    const wanted = await referenceLogits(path, model);
    const magnitude = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const edges = allEdges(plan);
    expect(edges.length).toBeGreaterThan(0);
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const reader = smoothedReader(stored, plan, randomSmoothing(edges, seed));
        const got = await referenceLogits(path, { ...model, reader });
        const error = got.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
        expect(error / magnitude).toBeLessThan(TOLERANCE);
      }),
      { numRuns: 2 },
    );
    checkpoint.close();
  });
});

describe('every edge', () => {
  it.each([...FOLDERS])('of %s reaches each reader once, with as many channels', (_name, path) => {
    const checkpoint = openCheckpoint(path);
    const edges = allEdges(planModel(checkpoint));
    checkpoint.close();
    const readers = edges.flatMap((edge) => edge.readers.map(({ module }) => module));
    expect(new Set(readers).size).toBe(readers.length);
    for (const { readers: own, source } of edges) {
      const [width] = new Set(own.map(({ inFeatures }) => inFeatures));
      for (const { inFeatures } of own) expect(inFeatures).toBe(width);
      if (source.kind === 'norm') continue;
      const { from, to } = source.rows ?? { from: 0, to: source.linear.outFeatures };
      expect(to - from).toBe(width);
    }
  });
});

describe('which edges a family has', () => {
  const INPUT = 'input_norm → mixer';
  const FEED_FORWARD = 'feed_forward_norm → gate, up';
  const VALUE = 'v → o';
  const DOWN = 'up → down';
  it.each([
    // Nothing precedes q, k, v, gate and up but the residual stream.
    ['olmo2', [DOWN]],
    ['olmo2_yarn', [VALUE, DOWN]],
    // The activation clamps up.
    ['gpt_oss', [INPUT, FEED_FORWARD]],
    ['gpt_oss_linearized', [INPUT, VALUE, FEED_FORWARD]],
    // v is clamped, though its heads are as many as the queries'.
    ['olmoe_clip', [INPUT, FEED_FORWARD, DOWN]],
    ['gemma2', [INPUT, FEED_FORWARD, DOWN]],
    ['gemma2_uncapped', [INPUT, VALUE, FEED_FORWARD, DOWN]],
    // Parts of fused Linears.
    ['phi3', [INPUT, FEED_FORWARD, DOWN]],
    ['phi3_long', [INPUT, VALUE, FEED_FORWARD, DOWN]],
    ['llama4_text', [INPUT, FEED_FORWARD, DOWN]],
    ['mixtral', [INPUT, FEED_FORWARD, DOWN]],
    ['deepseek_v3', [INPUT, 'q_norm → q_up', 'kv_norm → kv_up', FEED_FORWARD, DOWN]],
    ['deepseek_v3_yarn', [INPUT, 'kv_norm → kv_up', FEED_FORWARD, DOWN]],
    // Between v and out_proj stand a convolution's activation and a norm that all heads share.
    ['qwen3_next', [INPUT, FEED_FORWARD, DOWN]],
    ['qwen3_5_dense', [INPUT, FEED_FORWARD, DOWN]],
  ])('%s', (name, wanted) => {
    const checkpoint = openCheckpoint(folder(name));
    const plan = planModel(checkpoint);
    checkpoint.close();
    for (const { edges } of plan.layers) expect([...new Set(edges.map((edge) => edge.name))]).toEqual(wanted);
  });

  it('scales the gate behind a short convolution', () => {
    const checkpoint = openCheckpoint(folder('lfm2_moe'));
    const [first, second] = planModel(checkpoint).layers;
    checkpoint.close();
    expect(first!.edges.map(({ name }) => name)).toEqual([INPUT, 'gate → out', FEED_FORWARD, DOWN]);
    expect(second!.edges.map(({ name }) => name)).not.toContain('gate → out');
  });

  it.each([
    ['qwen3_next', ['in_proj_qkvz', 'in_proj_ba']],
    ['qwen3_5_moe_hub', ['in_proj_qkv', 'in_proj_z', 'in_proj_b', 'in_proj_a']],
  ])('lists the small projections of the delta net of %s, which stay unquantized', (name, wanted) => {
    const checkpoint = openCheckpoint(folder(name));
    const { prefix, edges } = planModel(checkpoint).layers[0]!;
    checkpoint.close();
    const { readers } = edges.find((edge) => edge.name === INPUT)!;
    expect(readers.map(({ module }) => module)).toEqual(wanted.map((part) => `${prefix}.linear_attn.${part}`));
    const kept = readers.filter((reader) => reader.kept !== null).map(({ module }) => module.split('.').at(-1));
    expect(kept).toEqual(wanted.filter((part) => /_(ba|b|a)$/.test(part)));
  });

  it('lists routers and shared-expert gates among the readers of their norm', () => {
    const checkpoint = openCheckpoint(folder('qwen2_moe'));
    const [layer] = planModel(checkpoint).layers;
    checkpoint.close();
    const edge = layer!.edges.find(({ name }) => name === FEED_FORWARD)!;
    const modules = edge.readers.map(({ module }) => module);
    expect(modules).toContain('model.layers.0.mlp.gate');
    expect(modules).toContain('model.layers.0.mlp.shared_expert_gate');
    expect(modules).toContain('model.layers.0.mlp.shared_expert.up_proj');
    expect(modules).toContain('model.layers.0.mlp.experts.7.gate_proj');
  });
});
