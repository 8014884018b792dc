import type { ModelConfig } from '../config.js';
import { attentionPlan, decoderPlan, densePlan, headSizes, preNormLayer, type Family } from '../declare.js';
import type { MaskPlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/** Qwen2: biases on q, k and v, which the Linears bring along; upper layers may slide. */
export const qwen2: Family = {
  name: 'qwen2',
  architectures: ['Qwen2ForCausalLM'],
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(declaration, 'qwen2', (index) => {
      const prefix = `${root}.layers.${index}`;
      return preNormLayer(declaration, index, {
        mixer: attentionPlan(declaration, prefix, { rope, mask: qwenMask(config, index) }),
        feedForward: densePlan(declaration, `${prefix}.mlp`),
      });
    });
  },
};

/** `layer_types` where the config has them, else layers from `max_window_layers` on slide if `use_sliding_window`. */
export function qwenMask(config: ModelConfig, layer: number): MaskPlan {
  const window = config.boolean('use_sliding_window', false) ? config.optionalNumber('sliding_window') : null;
  if (window === null) return { kind: 'causal' };
  const types = config.strings('layer_types');
  const slides =
    types === null ? layer >= config.number('max_window_layers', 28) : types[layer] === 'sliding_attention';
  return slides ? { kind: 'sliding', window } : { kind: 'causal' };
}
