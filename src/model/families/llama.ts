import { attentionPlan, decoderPlan, densePlan, headSizes, preNormLayer, type Family } from '../declare.js';
import { ropePlan } from '../rope.js';

/** Llama 2 and 3, and everything that kept its layout. */
export const llama: Family = {
  name: 'llama',
  architectures: ['LlamaForCausalLM'],
  plan(declaration) {
    const rope = ropePlan(declaration.config, headSizes(declaration.config));
    return decoderPlan(declaration, 'llama', (index) => {
      const prefix = `${declaration.root}.layers.${index}`;
      return preNormLayer(declaration, index, {
        mixer: attentionPlan(declaration, prefix, { rope }),
        feedForward: densePlan(declaration, `${prefix}.mlp`),
      });
    });
  },
};
