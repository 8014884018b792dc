import { attentionPlan, decoderPlan, densePlan, headSizes, preNormLayer, type Family } from '../declare.js';
import type { MaskPlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/** Llama's layout with an optional sliding window on every layer. */
export const mistral: Family = {
  name: 'mistral',
  architectures: ['MistralForCausalLM'],
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    const window = config.optionalNumber('sliding_window');
    const mask: MaskPlan = window === null ? { kind: 'causal' } : { kind: 'sliding', window };
    return decoderPlan(declaration, 'mistral', (index) => {
      const prefix = `${root}.layers.${index}`;
      return preNormLayer(declaration, index, {
        mixer: attentionPlan(declaration, prefix, { rope, mask }),
        feedForward: densePlan(declaration, `${prefix}.mlp`),
      });
    });
  },
};
