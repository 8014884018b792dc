import { decoderPlan, densePlan, preNormLayer, ROUTER_KEPT, type Family } from '../declare.js';
import { deepseekExperts } from '../deepseek-experts.js';
import { LATENT_ATTENTION_TRAPS, latentAttentionPlan } from '../latent-attention.js';

/** GLM-4.7-Flash: DeepSeek-V3's latent attention and experts; which layers are dense is a list. */
export const glm4MoeLite: Family = {
  name: 'glm4_moe_lite',
  architectures: ['Glm4MoeLiteForCausalLM'],
  defaults: {
    rms_norm_eps: 1e-5,
    routed_scaling_factor: 1.8,
    q_lora_rank: 768,
    kv_lora_rank: 512,
    qk_rope_head_dim: 64,
    qk_nope_head_dim: 192,
    v_head_dim: 256,
  },
  plan(declaration) {
    const { config, root } = declaration;
    const interleaved = config.boolean('rope_interleave', true);
    const blocks = config.strings('mlp_layer_types');
    return decoderPlan(
      declaration,
      'glm4_moe_lite',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const isDense = blocks === null ? index === 0 : blocks[index] === 'dense';
        return preNormLayer(declaration, index, {
          mixer: latentAttentionPlan(declaration, prefix, { interleaved }),
          feedForward: (isDense ? densePlan : deepseekExperts)(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }], targetTraps: LATENT_ATTENTION_TRAPS },
    );
  },
};
