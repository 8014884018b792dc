import {
  attentionPlan,
  decoderPlan,
  headSizes,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts } from '../experts.js';
import { widthNorm } from '../head-norms.js';
import { ropePlan } from '../rope.js';

/** OLMoE: norms over the whole query and key, then an optional clamp of q, k and v. */
export const olmoe: Family = {
  name: 'olmoe',
  architectures: ['OlmoeForCausalLM'],
  defaults: { rms_norm_eps: 1e-5, num_experts: 64, num_experts_per_tok: 8 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(
      declaration,
      'olmoe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, {
            rope,
            queryNorm: widthNorm(declaration, `${prefix}.self_attn.q_norm`),
            keyNorm: widthNorm(declaration, `${prefix}.self_attn.k_norm`),
            clip: config.optionalNumber('clip_qkv'),
          }),
          feedForward: moePlan(declaration, {
            router: linearPlan(declaration, `${prefix}.mlp.gate`, ROUTER_KEPT),
            rule: { kind: 'softmax', normalize: config.boolean('norm_topk_prob', false), scale: 1, groups: null },
            topK: config.number('num_experts_per_tok'),
            experts: routedExperts(declaration, `${prefix}.mlp.experts`, config.number('num_experts')),
          }),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }] },
    );
  },
};
