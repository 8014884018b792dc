import { decoderPlan, densePlan, preNormLayer, ROUTER_KEPT, type Family } from '../declare.js';
import { deepseekExperts, isDeepseekSparse } from '../deepseek-experts.js';
import { LATENT_ATTENTION_TRAPS, latentAttentionPlan } from '../latent-attention.js';

/**
 * DeepSeek-V3 and R1 (arXiv 2412.19437), Kimi K2, which is their layout, and Kimi K2.5, which wraps it. The layer for
 * multi-token prediction behind the last one is no part of the plan.
 */
export const deepseekV3: Family = {
  name: 'deepseek_v3',
  architectures: ['DeepseekV3ForCausalLM', 'KimiK2ForCausalLM', 'KimiK25ForConditionalGeneration'],
  defaults: {
    first_k_dense_replace: 3,
    n_group: 8,
    topk_group: 4,
    n_routed_experts: 256,
    num_experts_per_tok: 8,
    routed_scaling_factor: 2.5,
    q_lora_rank: 1536,
    kv_lora_rank: 512,
    qk_rope_head_dim: 64,
    qk_nope_head_dim: 128,
    v_head_dim: 128,
  },
  plan(declaration) {
    const { config, root } = declaration;
    const interleaved = config.boolean('rope_interleave', true);
    return decoderPlan(
      declaration,
      'deepseek_v3',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: latentAttentionPlan(declaration, prefix, { interleaved }),
          feedForward: isDeepseekSparse(declaration, index)
            ? deepseekExperts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }], targetTraps: LATENT_ATTENTION_TRAPS },
    );
  },
};
