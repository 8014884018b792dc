import { describe, expect, test } from 'vitest';
import type { Scheme } from '../../src/awq/scheme.js';
import { autoawq } from '../../src/checkpoint/autoawq.js';
import { compressedTensors } from '../../src/checkpoint/compressed-tensors.js';
import { parseConfig, quantizedConfig } from '../../src/checkpoint/config.js';
import type { LinearSpec } from '../../src/checkpoint/format.js';
import { matchesPattern, modulePatterns, runtimeSpellings } from '../../src/checkpoint/module-patterns.js';

const W4: Scheme = { bits: 4, symmetric: true, groupSize: 128 };

function linears(modules: readonly string[], scheme = W4): LinearSpec[] {
  return modules.map((module) => ({ module, outFeatures: 256, inFeatures: 256, scheme, scaleDtype: 'BF16' }));
}

function moeLayer(layer: number, experts = 2): string[] {
  const prefix = `model.layers.${layer}`;
  const attention = ['q', 'k', 'v', 'o'].map((name) => `${prefix}.self_attn.${name}_proj`);
  const routed = Array.from({ length: experts }, (_, i) =>
    ['gate', 'up', 'down'].map((name) => `${prefix}.mlp.experts.${i}.${name}_proj`),
  );
  return [...attention, ...routed.flat()];
}

describe('compressed-tensors quantization_config', () => {
  test('is the documented form for one scheme', () => {
    const config = compressedTensors.quantizationConfig({
      quantized: linears([...moeLayer(0), ...moeLayer(1)]),
      unquantized: ['lm_head', 'model.layers.0.mlp.gate', 'model.layers.1.mlp.gate'],
    });
    expect(config).toEqual({
      quant_method: 'compressed-tensors',
      format: 'pack-quantized',
      quantization_status: 'compressed',
      config_groups: {
        group_0: {
          targets: ['Linear'],
          format: 'pack-quantized',
          input_activations: null,
          output_activations: null,
          weights: {
            num_bits: 4,
            type: 'int',
            symmetric: true,
            strategy: 'group',
            group_size: 128,
            dynamic: false,
            actorder: null,
            block_structure: null,
            observer: 'minmax',
            observer_kwargs: {},
          },
        },
      },
      ignore: ['lm_head', 're:.*\\.gate$'],
      kv_cache_scheme: null,
      global_compression_ratio: null,
      sparsity_config: {},
      transform_config: {},
      version: '0.18.0',
    });
  });

  test('a channel scheme has no group size', () => {
    const config = compressedTensors.quantizationConfig({
      quantized: linears(['a.q'], { bits: 8, symmetric: false, groupSize: 'channel' }),
      unquantized: [],
    });
    expect(config['config_groups']).toMatchObject({
      group_0: { weights: { num_bits: 8, symmetric: false, strategy: 'channel', group_size: null } },
    });
    expect(config['ignore']).toEqual(['lm_head']);
  });

  test("mixed group sizes: the class target belongs to the experts' scheme, the rest is named", () => {
    const narrow: Scheme = { ...W4, groupSize: 64 };
    const config = compressedTensors.quantizationConfig({
      quantized: [
        ...linears(
          ['model.layers.0.mlp.gate_proj', 'model.layers.0.mlp.up_proj', 'model.layers.0.mlp.down_proj'],
          narrow,
        ),
        ...linears(moeLayer(1)),
      ],
      unquantized: [],
    });
    expect(config['config_groups']).toMatchObject({
      group_0: { targets: ['Linear', 're:.*\\.experts\\.\\d+\\..*'], weights: { group_size: 128 } },
      group_1: {
        targets: [
          're:.*\\.gate_up_proj$',
          're:.*\\.mlp\\.down_proj$',
          're:.*\\.mlp\\.gate_proj$',
          're:.*\\.mlp\\.up_proj$',
        ],
        weights: { group_size: 64 },
      },
    });
  });

  test('a named group holds its merged Linears by their own names, which runtimes look up before their parts', () => {
    const prefix = 'model.layers.0.self_attn';
    const latent = ['q_a_proj', 'kv_a_proj_with_mqa', 'q_b_proj'].map((name) => `${prefix}.${name}`);
    const config = compressedTensors.quantizationConfig({
      quantized: [...linears(moeLayer(1)), ...linears(latent, { ...W4, symmetric: false })],
      unquantized: [],
    });
    const groups = config['config_groups'] as Record<string, { targets: string[] }>;
    const holders = (module: string): string[] =>
      Object.keys(groups).filter((name) => groups[name]!.targets.some((target) => matchesPattern(target, module)));
    expect(holders(`${prefix}.fused_qkv_a_proj`)).toEqual(['group_1']);
    // The symmetric q, k and v of layer 1 are the class target's.
    expect(holders('model.layers.1.self_attn.qkv_proj')).toEqual([]);
    const attention = compressedTensors.quantizationConfig({
      quantized: [...linears(moeLayer(1).slice(3)), ...linears(moeLayer(1).slice(0, 3), { ...W4, bits: 8 })],
      unquantized: [],
    });
    expect(attention['config_groups']).toMatchObject({
      group_1: { targets: expect.arrayContaining(['re:.*\\.qkv_proj$']) },
    });
  });

  test('layers whose experts differ are told apart by name, as vLLM looks them up', () => {
    const config = compressedTensors.quantizationConfig({
      quantized: [...linears(moeLayer(0)), ...linears(moeLayer(1)), ...linears(moeLayer(12), { ...W4, bits: 8 })],
      unquantized: [],
    });
    const groups = Object.values(config['config_groups'] as Record<string, Group>);
    for (const [layer, bits] of [
      [0, 4],
      [1, 4],
      [12, 8],
    ] as const) {
      // The names that vLLM makes up for a block of experts, and those of its merged attention.
      for (const name of [
        'mlp.experts.0.gate_proj',
        'mlp.experts.0.down_proj',
        'self_attn.qkv_proj',
        'self_attn.o_proj',
      ])
        expect(lookUp(`model.layers.${layer}.${name}`, groups)?.weights.num_bits, `${layer} ${name}`).toBe(bits);
    }
  });

  test('experts of one layer with two schemes are refused: runtimes hold them in one tensor', () => {
    const [first, ...rest] = moeLayer(0);
    const mixed = [...linears([first!, ...rest.slice(0, -1)]), ...linears(rest.slice(-1), { ...W4, groupSize: 64 })];
    expect(() => compressedTensors.quantizationConfig({ quantized: mixed, unquantized: [] })).toThrow(
      "wanted one scheme for all routed experts of a layer, as runtimes look up only one: 'model.layers.0.mlp.experts.0.gate_proj' has W4A16, symmetric, group 128, 'model.layers.0.mlp.experts.1.down_proj' has W4A16, symmetric, group 64",
    );
  });
});

interface Group {
  readonly targets: readonly string[];
  readonly weights: { readonly num_bits: number };
}

/** The first target that matches the name, then the class: the order of vLLM's and SGLang's `find_matched_target`. */
function lookUp(name: string, groups: readonly Group[]): Group | undefined {
  const byName = groups.find(({ targets }) => targets.some((target) => matchesPattern(target, name)));
  return byName ?? groups.find(({ targets }) => targets.includes('Linear'));
}

describe('autoawq quantization_config', () => {
  test('names what stays, so that no substring hits a quantized module', () => {
    const dense = ['gate', 'up', 'down'].map((name) => `model.layers.0.mlp.${name}_proj`);
    const config = autoawq.quantizationConfig({
      quantized: linears([...dense, ...moeLayer(3)]),
      unquantized: ['lm_head', 'model.layers.3.mlp.gate', 'model.layers.3.mlp.shared_expert_gate'],
    });
    // `mlp.gate` would also hit the dense layer's gate_proj.
    expect(config).toEqual({
      quant_method: 'awq',
      version: 'gemm',
      bits: 4,
      group_size: 128,
      zero_point: true,
      modules_to_not_convert: ['layers.3.mlp.gate', 'lm_head', 'mlp.shared_expert_gate'],
    });
  });

  test('holds one group size and nothing else', () => {
    const mixed = [...linears(['a.q']), ...linears(['a.o'], { ...W4, groupSize: 64 })];
    expect(() => autoawq.quantizationConfig({ quantized: mixed, unquantized: [] })).toThrow(
      'one group size for the whole model',
    );
    expect(() => autoawq.quantizationConfig({ quantized: linears(['m.gate_proj']), unquantized: ['m.gate'] })).toThrow(
      "cannot leave 'm.gate' unquantized",
    );
    expect(autoawq.refusal(linears(['x'], { ...W4, bits: 8 })[0]!)).toBe('wanted 4 bits, got 8');
    expect(autoawq.refusal({ ...linears(['x'])[0]!, outFeatures: 12 })).toContain('divisible by 8');
  });
});

describe('modulePatterns()', () => {
  const cases: [string, string[], string[], string[]][] = [
    [
      'a suffix that nothing else has',
      ['m.layers.0.mlp.gate', 'm.layers.1.mlp.gate'],
      ['m.layers.0.mlp.gate_proj'],
      ['re:.*\\.gate$'],
    ],
    [
      'a longer suffix where the short one is taken',
      ['m.layers.0.mlp.down_proj'],
      ['m.layers.1.mlp.experts.0.down_proj'],
      ['re:.*\\.mlp\\.down_proj$'],
    ],
    [
      'single layers',
      ['m.layers.0.mlp.down_proj', 'm.layers.7.mlp.down_proj'],
      ['m.layers.1.mlp.down_proj'],
      ['re:.*layers\\.(0|7)\\.mlp\\.down_proj$'],
    ],
    [
      'a whole extra layer',
      ['m.layers.61.mlp.experts.0.up_proj', 'm.layers.61.mlp.experts.1.up_proj'],
      ['m.layers.6.mlp.experts.0.up_proj'],
      ['re:.*layers\\.61\\.mlp\\.experts\\.\\d+\\.up_proj$'],
    ],
    ['a top-level module', ['lm_head'], ['m.layers.0.q'], ['lm_head']],
    [
      'a tower',
      ['model.vision_tower.blocks.0.attn.q_proj', 'mtp.fc'],
      ['m.layers.0.attn.q_proj'],
      ['re:(.*\\.)?mtp\\..*', 're:(.*\\.)?vision_tower\\..*'],
    ],
    [
      'one expert of a layer',
      ['m.layers.0.experts.1.up'],
      ['m.layers.0.experts.0.up', 'm.layers.1.experts.1.up'],
      ['m.layers.0.experts.1.up'],
    ],
  ];

  test.each(cases)('%s', (_, wanted, avoided, patterns) => {
    expect(modulePatterns(wanted, avoided)).toEqual(patterns);
    for (const module of wanted) expect(patterns.some((pattern) => matchesPattern(pattern, module))).toBe(true);
    for (const module of avoided) expect(patterns.some((pattern) => matchesPattern(pattern, module))).toBe(false);
  });

  test('runtimes look modules up under other names too', () => {
    expect(runtimeSpellings('m.layers.0.block_sparse_moe.experts.3.w2')).toEqual(
      expect.arrayContaining(['m.layers.0.block_sparse_moe.experts.3.down_proj', 'm.layers.0.mlp.experts.3.down_proj']),
    );
    expect(runtimeSpellings('m.layers.0.block_sparse_moe.gate')).toContain('m.layers.0.mlp.router');
    expect(runtimeSpellings('m.layers.0.self_attn.q_proj')).toEqual(['m.layers.0.self_attn.q_proj']);
  });

  test('`re:` is anchored at the start only, as in Python', () => {
    expect(matchesPattern('re:model', 'model.layers.0')).toBe(true);
    expect(matchesPattern('re:layers', 'model.layers.0')).toBe(false);
    expect(matchesPattern('model', 'model.layers.0')).toBe(false);
  });
});

describe('config.json', () => {
  const source = `{
  "router_jitter_noise": 0.0, "rms_norm_eps": 1e-06, "big": 12345678901234567890, "limit": [0.0, Infinity, -Infinity],
  "text": "0.0 and Infinity \\" 1.0", "compression_config": {"a": 1},
  "text_config": {"rope_theta": 10000.0, "quantization_config": {"old": true}},
  "quantization_config": {"quant_method": "fp8"}
}`;

  test('quantizedConfig() replaces quantization and keeps the spelling of every number', () => {
    const text = quantizedConfig(source, { quant_method: 'awq' }, { dtype: 'float16' });
    expect(text.replace(/\s+/g, ' ')).toBe(
      '{ "router_jitter_noise": 0.0, "rms_norm_eps": 1e-06, "big": 12345678901234567890, "limit": [ 0.0, Infinity, -Infinity ], ' +
        '"text": "0.0 and Infinity \\" 1.0", "text_config": { "rope_theta": 10000.0 }, "dtype": "float16", ' +
        '"quantization_config": { "quant_method": "awq" } } ',
    );
  });

  test("parseConfig() reads Python's Infinity and NaN", () => {
    expect(parseConfig('{"a": [Infinity, -Infinity, NaN, "NaN"]}', 'c')).toEqual({
      a: [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, null, 'NaN'],
    });
  });
});
