import {
  attentionPlan,
  decoderPlan,
  densePlan,
  headSizes,
  preNormLayer,
  ROUTER_KEPT,
  type Family,
} from '../declare.js';
import { deepseekExperts, isDeepseekSparse } from '../deepseek-experts.js';
import { perHeadNorm } from '../head-norms.js';
import { ropePlan } from '../rope.js';

/** GLM-4.5 and GLM-4.6: grouped-query attention on half of each head, DeepSeek-V3's experts. */
export const glm4Moe: Family = {
  name: 'glm4_moe',
  architectures: ['Glm4MoeForCausalLM'],
  defaults: { rms_norm_eps: 1e-5, first_k_dense_replace: 1 },
  plan(declaration) {
    const { config, root } = declaration;
    const { headDim } = headSizes(config);
    const rope = ropePlan(config, { headDim, defaultPartialFactor: 0.5 });
    return decoderPlan(
      declaration,
      'glm4_moe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const norm = (name: string) =>
          config.boolean('use_qk_norm', false) ? perHeadNorm(declaration, `${prefix}.self_attn.${name}`) : null;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, { rope, queryNorm: norm('q_norm'), keyNorm: norm('k_norm') }),
          feedForward: isDeepseekSparse(declaration, index)
            ? deepseekExperts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }] },
    );
  },
};
