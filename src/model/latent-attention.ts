import type { ModelConfig } from './config.js';
import { linearPlan, normPlan, type Declaration } from './declare.js';
import type { LatentAttentionPlan, NormPlan, TargetTrap } from './plan.js';
import { ropePlan, yarnScale } from './rope.js';

/** transformers builds the norms of the latent vectors without the config's `rms_norm_eps`. */
const LATENT_EPSILON = 1e-6;

/**
 * Multi-head latent attention under `<prefix>.self_attn` (DeepSeek-V2, arXiv 2405.04434 §2.1). Without `q_lora_rank` the
 * queries come from one projection.
 */
export function latentAttentionPlan(
  declaration: Declaration,
  prefix: string,
  { interleaved }: { readonly interleaved: boolean },
): LatentAttentionPlan {
  const { config } = declaration;
  const module = `${prefix}.self_attn`;
  const rotaryDim = config.number('qk_rope_head_dim');
  const plainDim = config.number('qk_nope_head_dim');
  const norm = (name: string): NormPlan => ({
    ...normPlan(declaration, `${module}.${name}`),
    epsilon: LATENT_EPSILON,
  });
  return {
    kind: 'latent-attention',
    query:
      config.optionalNumber('q_lora_rank') === null
        ? { kind: 'direct', projection: linearPlan(declaration, `${module}.q_proj`) }
        : {
            kind: 'low-rank',
            down: linearPlan(declaration, `${module}.q_a_proj`),
            norm: norm('q_a_layernorm'),
            up: linearPlan(declaration, `${module}.q_b_proj`),
          },
    keyValueDown: linearPlan(declaration, `${module}.kv_a_proj_with_mqa`),
    keyValueNorm: norm('kv_a_layernorm'),
    keyValueUp: linearPlan(declaration, `${module}.kv_b_proj`),
    output: linearPlan(declaration, `${module}.o_proj`),
    heads: config.number('num_attention_heads'),
    latentDim: config.number('kv_lora_rank'),
    plainDim,
    valueDim: config.number('v_head_dim'),
    scale: (plainDim + rotaryDim) ** -0.5 * attentionScale(config) ** 2,
    rope: ropePlan(config, { headDim: rotaryDim, interleaved }),
  };
}

/** With YaRN and `mscale_all_dim`, DeepSeek sharpens the softmax by the square of this. */
function attentionScale(config: ModelConfig): number {
  const { rope_type, type, factor, mscale_all_dim } =
    config.object('rope_parameters') ?? config.object('rope_scaling') ?? {};
  if ((rope_type ?? type ?? 'default') === 'default') return 1;
  if (typeof factor !== 'number' || typeof mscale_all_dim !== 'number' || mscale_all_dim === 0) return 1;
  return yarnScale(factor, mscale_all_dim);
}

/** SGLang reads `weight` of the latent projections itself (sgl-project/sglang issues 25331 and 19106). */
export const LATENT_ATTENTION_TRAPS: readonly TargetTrap[] = [
  {
    runtime: 'sglang',
    pattern: 're:.*self_attn\\..*',
    reason: 'latent attention: SGLang uses the weights of its projections directly and cannot unpack them',
  },
];
