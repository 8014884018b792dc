import { expect, test } from 'vitest';
import type { Scheme } from '../../src/awq/scheme.js';
import type { LinearSpec } from '../../src/checkpoint/format.js';
import { runtimeLimits, RUNTIMES, type PlannedOutput, type Runtime } from '../../src/checkpoint/runtime-limits.js';

const SYMMETRIC: Scheme = { bits: 4, symmetric: true, groupSize: 128 };
const ASYMMETRIC: Scheme = { ...SYMMETRIC, symmetric: false };

function linear(module: string, scheme = SYMMETRIC, inFeatures = 1024): LinearSpec {
  return { module, scheme, outFeatures: 1024, inFeatures, scaleDtype: 'BF16' };
}

function output(quantized: readonly LinearSpec[], rest: Partial<PlannedOutput> = {}): PlannedOutput {
  return { format: 'compressed-tensors', modelType: 'qwen3_moe', layout: { quantized, unquantized: [] }, ...rest };
}

const EXPERT = 'model.layers.1.mlp.experts.0.down_proj';
const OTHER_EXPERT = 'model.layers.2.mlp.experts.0.down_proj';
const ATTENTION = 'model.layers.0.self_attn.q_proj';

test('symmetric experts in compressed-tensors load everywhere', () => {
  expect(runtimeLimits(RUNTIMES, output([linear(EXPERT), linear(ATTENTION)]))).toEqual([]);
});

test.each<[string, PlannedOutput, [Runtime, 'refuse' | 'warn', string][]]>([
  [
    'asymmetric experts',
    output([linear(EXPERT, ASYMMETRIC)]),
    [
      ['transformers', 'refuse', EXPERT],
      ['sglang', 'refuse', EXPERT],
      ['vllm', 'warn', EXPERT],
    ],
  ],
  [
    'asymmetric attention alone',
    output([linear(EXPERT), linear(ATTENTION, ASYMMETRIC)]),
    [['sglang', 'warn', ATTENTION]],
  ],
  [
    'AutoAWQ experts',
    output([linear(EXPERT, ASYMMETRIC)], { format: 'autoawq' }),
    [['transformers', 'refuse', EXPERT]],
  ],
  [
    'AutoAWQ experts by groups of 32',
    output([linear(EXPERT, { ...SYMMETRIC, groupSize: 32 })], { format: 'autoawq' }),
    [
      ['transformers', 'refuse', EXPERT],
      ['sglang', 'refuse', EXPERT],
    ],
  ],
  [
    'AutoAWQ without experts',
    output([linear(ATTENTION, ASYMMETRIC)], { format: 'autoawq', modelType: 'qwen3' }),
    [['transformers', 'warn', ATTENTION]],
  ],
  ['8-bit experts by group', output([linear(EXPERT, { ...SYMMETRIC, bits: 8 })]), [['vllm', 'warn', EXPERT]]],
  ['8-bit experts by channel', output([linear(EXPERT, { bits: 8, symmetric: true, groupSize: 'channel' })]), []],
  [
    'experts of two schemes in two layers',
    output([linear(EXPERT), linear(OTHER_EXPERT, { ...SYMMETRIC, groupSize: 64 })]),
    [
      ['transformers', 'refuse', OTHER_EXPERT],
      ['sglang', 'warn', OTHER_EXPERT],
    ],
  ],
  [
    "outputs that no kernel's tiles cover",
    output([{ ...linear(ATTENTION), outFeatures: 96 }]),
    [
      ['vllm', 'warn', ATTENTION],
      ['sglang', 'warn', ATTENTION],
    ],
  ],
  [
    'Llama 4 experts, asymmetric',
    output([linear(EXPERT, ASYMMETRIC)], { modelType: 'llama4_text' }),
    [
      ['transformers', 'refuse', EXPERT],
      ['sglang', 'refuse', EXPERT],
      ['vllm', 'warn', EXPERT],
      ['vllm', 'warn', EXPERT],
    ],
  ],
  [
    'Granite experts',
    output([linear(EXPERT)], { modelType: 'granitemoe' }),
    [
      ['transformers', 'refuse', EXPERT],
      ['vllm', 'warn', EXPERT],
    ],
  ],
  [
    'gpt-oss',
    output([linear(EXPERT)], { modelType: 'gpt_oss' }),
    [
      ['transformers', 'refuse', EXPERT],
      ['vllm', 'refuse', EXPERT],
    ],
  ],
  [
    'latent attention',
    output([linear('m.layers.0.self_attn.kv_b_proj')], {
      traps: [{ runtime: 'sglang', pattern: 're:.*self_attn\\..*', reason: 'latent attention' }],
    }),
    [['sglang', 'refuse', 'm.layers.0.self_attn.kv_b_proj']],
  ],
  [
    'Llama 4 attention',
    output([linear(ATTENTION, ASYMMETRIC)], { modelType: 'llama4_text' }),
    [
      ['sglang', 'warn', ATTENTION],
      ['sglang', 'refuse', ATTENTION],
      ['vllm', 'refuse', ATTENTION],
    ],
  ],
  [
    'a group of 16',
    output([linear(ATTENTION, { ...SYMMETRIC, groupSize: 16 })]),
    [
      ['vllm', 'refuse', ATTENTION],
      ['sglang', 'refuse', ATTENTION],
    ],
  ],
])('%s', (_, planned, wanted) => {
  const limits = runtimeLimits(RUNTIMES, planned);
  expect(limits.map(({ runtime, severity, module }) => [runtime, severity, module])).toEqual(wanted);
  expect(runtimeLimits(['vllm'], planned)).toEqual(limits.filter(({ runtime }) => runtime === 'vllm'));
});

test('a shared expert that is not quantized like the routed ones', () => {
  const shared = 'model.layers.1.mlp.shared_experts.up_proj';
  const layout = { quantized: [linear(EXPERT)], unquantized: [shared] };
  expect(runtimeLimits(['sglang'], { ...output([]), layout })).toEqual([
    expect.objectContaining({ module: shared, message: expect.stringContaining('--disable-shared-experts-fusion') }),
  ]);
});

test('groups that tensor parallelism would cut', () => {
  const limits = runtimeLimits(
    ['vllm', 'transformers'],
    output([linear(EXPERT, SYMMETRIC, 768), linear('m.layers.0.mlp.down_proj', SYMMETRIC, 1408)]),
  );
  const shared = limits.filter(({ message }) => message.includes('devices'));
  expect(shared.map(({ runtime, message }) => [runtime, message])).toEqual([
    ['vllm', '6 groups of 128 cannot be shared among 4, 8 devices'],
    ['vllm', '11 groups of 128 cannot be shared among 2, 4, 8 devices'],
  ]);
});
