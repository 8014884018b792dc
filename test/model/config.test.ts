import { describe, expect, it } from 'vitest';
import { parseModelConfig } from '../../src/model/config.js';
import { ropePlan } from '../../src/model/rope.js';

const named = { architectures: ['SomeForCausalLM'], model_type: 'some' };

describe('a config', () => {
  it('takes what it leaves out from the family, and null for none', () => {
    const config = parseModelConfig(
      { ...named, sliding_window: null, hidden_size: 8 },
      { sliding_window: 4096, heads: 4 },
    );
    expect(config.optionalNumber('sliding_window')).toBeNull();
    expect(config.number('heads')).toBe(4);
    expect(config.number('hidden_size')).toBe(8);
  });

  it('of a multimodal model is read through its text_config, under the outer architecture', () => {
    const config = parseModelConfig({ ...named, text_config: { architectures: ['Inner'], hidden_size: 8 } });
    expect(config.architecture).toBe('SomeForCausalLM');
    expect(config.multimodal).toBe(true);
    expect(config.number('hidden_size')).toBe(8);
  });

  it('has settings that differ by layer', () => {
    const config = parseModelConfig({ ...named, moe_topk: [1, 3], num_experts: 8 });
    expect([0, 1].map((layer) => config.numberAt('moe_topk', layer))).toEqual([1, 3]);
    expect(config.numberAt('num_experts', 7)).toBe(8);
    expect(() => config.numberAt('moe_topk', 2)).toThrow('wanted "moe_topk" as a number for layer 2, got [1,3]');
  });

  it('that is wrong says which key, what was wanted and what was got', () => {
    const config = parseModelConfig({ ...named, hidden_size: '8' });
    expect(() => config.number('hidden_size')).toThrow('wanted "hidden_size" as a number, got "8"');
    expect(() => config.number('heads')).toThrow('wanted "heads" as a number, got undefined');
    expect(() => parseModelConfig({ model_type: 'some' })).toThrow('wanted "architectures"');
  });
});

function rope(settings: object, defaultPartialFactor = 1) {
  return ropePlan(parseModelConfig({ ...named, ...settings }), { headDim: 8, defaultPartialFactor });
}

describe('a rotary embedding', () => {
  it('reads both dialects alike', () => {
    const scaling = { factor: 4, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: 64 };
    const older = rope({ rope_theta: 500_000, rope_scaling: { type: 'llama3', ...scaling } });
    expect(rope({ rope_parameters: { rope_type: 'llama3', rope_theta: 500_000, ...scaling } })).toEqual(older);
  });

  it('rotates as much of a head as the settings say, then the config, then the family', () => {
    expect(rope({}, 0.25).rotaryDim).toBe(2);
    expect(rope({ partial_rotary_factor: 0.5 }, 0.25).rotaryDim).toBe(4);
    expect(rope({ partial_rotary_factor: 0.5, rope_parameters: { partial_rotary_factor: 1 } }, 0.25).rotaryDim).toBe(8);
  });

  it('of longrope derives its magnitude from how far the context was stretched', () => {
    const { long, attentionFactor } = rope({
      max_position_embeddings: 128,
      original_max_position_embeddings: 16,
      rope_scaling: { type: 'longrope', short_factor: [1, 1, 1, 1], long_factor: [2, 2, 2, 2] },
    });
    expect(long?.from).toBe(16);
    expect(attentionFactor).toBeCloseTo(Math.sqrt(1 + Math.log(8) / Math.log(16)), 12);
  });

  it('of an unknown kind is refused', () => {
    expect(() => rope({ rope_scaling: { type: 'spiral' } })).toThrow("rope type 'spiral' is not supported");
    expect(() => rope({ rope_scaling: { type: 'linear' } })).toThrow('wanted "factor"');
  });
});
