import { InputError } from '../../errors.js';
import {
  decoderPlan,
  densePlan,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { groupLimit, isDeepseekSparse } from '../deepseek-experts.js';
import { moePlan, routedExperts, sharedExpertPlan } from '../experts.js';
import { LATENT_ATTENTION_TRAPS, latentAttentionPlan } from '../latent-attention.js';
import type { MoePlan } from '../plan.js';
import type { GroupLimit } from '../router-rule.js';

/** DeepSeek-V2, V2-Lite and Coder-V2 (arXiv 2405.04434): latent attention, softmax routing without renormalizing. */
export const deepseekV2: Family = {
  name: 'deepseek_v2',
  architectures: ['DeepseekV2ForCausalLM'],
  defaults: { q_lora_rank: 1536, kv_lora_rank: 512, qk_rope_head_dim: 64, qk_nope_head_dim: 128, v_head_dim: 128 },
  plan(declaration) {
    const { root } = declaration;
    return decoderPlan(
      declaration,
      'deepseek_v2',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: latentAttentionPlan(declaration, prefix, { interleaved: true }),
          feedForward: isDeepseekSparse(declaration, index)
            ? deepseekV2Experts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }], targetTraps: LATENT_ATTENTION_TRAPS },
    );
  },
};

function deepseekV2Experts(declaration: Declaration, module: string): MoePlan {
  const { config } = declaration;
  const scale = config.number('routed_scaling_factor', 1);
  return moePlan(declaration, {
    router: linearPlan(declaration, `${module}.gate`, ROUTER_KEPT),
    rule: { kind: 'softmax', normalize: false, scale, groups: deepseekV2Groups(declaration) },
    topK: config.number('num_experts_per_tok'),
    experts: routedExperts(declaration, `${module}.experts`, config.number('n_routed_experts')),
    shared: sharedExpertPlan(declaration, `${module}.shared_experts`),
  });
}

/** `group_limited_greedy` scores a group by its best expert. */
function deepseekV2Groups(declaration: Declaration): GroupLimit | null {
  const method = declaration.config.string('topk_method', 'greedy');
  if (method === 'greedy') return null;
  if (method === 'group_limited_greedy') return groupLimit(declaration, 1);
  throw new InputError(`read config.json: wanted "topk_method" as greedy or group_limited_greedy, got '${method}'`);
}
