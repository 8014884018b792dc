import { attentionPlan, decoderPlan, densePlan, headSizes, normPlan, type Family } from '../declare.js';
import { preNormEdges } from '../edges.js';
import { widthNorm } from '../head-norms.js';
import { ropePlan } from '../rope.js';

/**
 * OLMo 2: each block reads the residual stream as it is and a norm follows it. So no norm can absorb a scale for q, k, v,
 * gate or up, and none after o or down either: it would divide by another mean. v → o and up → down remain.
 */
export const olmo2: Family = {
  name: 'olmo2',
  architectures: ['Olmo2ForCausalLM'],
  defaults: { rms_norm_eps: 1e-5 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(declaration, 'olmo2', (index) => {
      const prefix = `${root}.layers.${index}`;
      const layer = {
        index,
        prefix,
        inputNorm: null,
        mixer: attentionPlan(declaration, prefix, {
          rope,
          queryNorm: widthNorm(declaration, `${prefix}.self_attn.q_norm`),
          keyNorm: widthNorm(declaration, `${prefix}.self_attn.k_norm`),
        }),
        mixerOutputNorm: normPlan(declaration, `${prefix}.post_attention_layernorm`),
        feedForwardNorm: null,
        feedForward: densePlan(declaration, `${prefix}.mlp`),
        feedForwardOutputNorm: normPlan(declaration, `${prefix}.post_feedforward_layernorm`),
        residualScale: 1,
      };
      return { ...layer, edges: preNormEdges(layer) };
    });
  },
};
