import {
  attentionPlan,
  decoderPlan,
  densePlan,
  headSizes,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts, sharedExpertPlan } from '../experts.js';
import { plainHeadNorm } from '../head-norms.js';
import { layerType, layerTypeMask } from '../masks.js';
import type { AttentionPlan, MoePlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/**
 * Llama 4 Scout and Maverick, text alone or inside the multimodal model. Most layers rotate, normalize and attend within
 * chunks; every fourth has no positions, full attention and a temperature that grows with the position.
 */
export const llama4: Family = {
  name: 'llama4',
  architectures: ['Llama4ForCausalLM', 'Llama4ForConditionalGeneration'],
  defaults: {
    rope_theta: 500_000,
    rms_norm_eps: 1e-5,
    num_attention_heads: 40,
    num_key_value_heads: 8,
    head_dim: 128,
    num_local_experts: 16,
    num_experts_per_tok: 1,
    attention_chunk_size: 8192,
    no_rope_layer_interval: 4,
    floor_scale: 8192,
    attn_scale: 0.1,
  },
  plan(declaration) {
    const { root } = declaration;
    return decoderPlan(
      declaration,
      'llama4',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: llama4Attention(declaration, prefix, index),
          feedForward: isSparse(declaration, index)
            ? llama4Experts(declaration, `${prefix}.feed_forward`)
            : densePlan(declaration, `${prefix}.feed_forward`),
        });
      },
      {
        kept: [
          { pattern: 're:.*router$', reason: ROUTER_KEPT },
          {
            pattern: 're:.*self_attn.*',
            reason: 'runtimes reorder the rows of q and k for their rotary kernel, and not of packed ones',
          },
        ],
      },
    );
  },
};

function llama4Attention(declaration: Declaration, prefix: string, index: number): AttentionPlan {
  const { config } = declaration;
  const rotates = (i: number): boolean => {
    const given = config.numbers('no_rope_layers');
    // Despite its name, 1 in `no_rope_layers` means that the layer rotates.
    if (given !== null && given.length > 0) return given[i] === 1;
    return (i + 1) % config.number('no_rope_layer_interval') !== 0;
  };
  const type = (i: number): string => (rotates(i) ? 'chunked_attention' : 'full_attention');
  const norm = rotates(index) && config.boolean('use_qk_norm', true) ? plainHeadNorm(declaration, 'after-rope') : null;
  const isTuned = !rotates(index) && config.boolean('attn_temperature_tuning', true);
  return attentionPlan(declaration, prefix, {
    rope: rotates(index) ? ropePlan(config, { ...headSizes(config), interleaved: true }) : null,
    mask: layerTypeMask(config, layerType(config, index, type)),
    queryNorm: norm,
    keyNorm: norm,
    temperature: isTuned ? { scale: config.number('attn_scale'), floor: config.number('floor_scale') } : null,
  });
}

/** `moe_layers` where the config has them, else every `interleave_moe_layer_step`-th layer. */
function isSparse({ config }: Declaration, index: number): boolean {
  const given = config.numbers('moe_layers');
  return given === null ? (index + 1) % config.number('interleave_moe_layer_step', 1) === 0 : given.includes(index);
}

function llama4Experts(declaration: Declaration, module: string): MoePlan {
  const { config } = declaration;
  const experts = `${module}.experts`;
  return moePlan(declaration, {
    router: linearPlan(declaration, `${module}.router`, ROUTER_KEPT),
    rule: { kind: 'sigmoid-of-chosen' },
    topK: config.number('num_experts_per_tok'),
    experts: routedExperts(declaration, experts, config.number('num_local_experts'), {
      fused: { gateUp: `${experts}.gate_up_proj`, down: `${experts}.down_proj`, transposed: true },
    }),
    weightOn: 'input',
    shared: sharedExpertPlan(declaration, `${module}.shared_expert`),
  });
}
