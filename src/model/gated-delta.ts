import type { ModelConfig } from './config.js';
import { attentionPlan, headSizes, linearPlan, normPlan, type Declaration } from './declare.js';
import { perHeadNorm } from './head-norms.js';
import { layerType } from './masks.js';
import type { AttentionPlan, GatedDeltaPlan, KeptModule, MixerPlan } from './plan.js';
import { ropePlan } from './rope.js';

const SMALL_KEPT = 'gate and decay of the delta rule: one output per head, and every state depends on them';

export const GATED_DELTA_KEPT: readonly KeptModule[] = [
  { pattern: 're:.*linear_attn\\.in_proj_(a|b|ba)$', reason: SMALL_KEPT },
  { pattern: 're:.*linear_attn\\.conv1d$', reason: 'convolution: a few taps per channel' },
];

/** Sizes that both qwen3_next and qwen3_5 leave to their configuration class. */
export const GATED_DELTA_DEFAULTS = {
  head_dim: 256,
  full_attention_interval: 4,
  linear_conv_kernel_dim: 4,
  linear_key_head_dim: 128,
  linear_value_head_dim: 128,
  linear_num_key_heads: 16,
} as const;

/** Every fourth layer attends, the others run the gated delta rule, unless `layer_types` says otherwise. */
export function hybridMixer(declaration: Declaration, prefix: string, layer: number): MixerPlan {
  const { config } = declaration;
  const interval = config.number('full_attention_interval');
  const type = layerType(config, layer, (i) => ((i + 1) % interval === 0 ? 'full_attention' : 'linear_attention'));
  return type === 'full_attention'
    ? gatedAttention(declaration, prefix)
    : gatedDeltaPlan(declaration, `${prefix}.linear_attn`);
}

/** Attention whose query projection also emits a gate for every output, with zero-centred norms on q and k. */
function gatedAttention(declaration: Declaration, prefix: string): AttentionPlan {
  const { headDim } = headSizes(declaration.config);
  return attentionPlan(declaration, prefix, {
    rope: ropePlan(declaration.config, { headDim, defaultPartialFactor: 0.25 }),
    queryNorm: perHeadNorm(declaration, `${prefix}.self_attn.q_norm`, { offset: 1 }),
    keyNorm: perHeadNorm(declaration, `${prefix}.self_attn.k_norm`, { offset: 1 }),
    outputGate: true,
  });
}

function gatedDeltaPlan(declaration: Declaration, module: string): GatedDeltaPlan {
  const { config, source } = declaration;
  const projection = (name: string, kept: string | null = null) => linearPlan(declaration, `${module}.${name}`, kept);
  return {
    kind: 'gated-delta',
    projections: source.has(`${module}.in_proj_qkvz.weight`)
      ? { kind: 'fused', qkvz: projection('in_proj_qkvz'), ba: projection('in_proj_ba', SMALL_KEPT) }
      : {
          kind: 'separate',
          qkv: projection('in_proj_qkv'),
          z: projection('in_proj_z'),
          b: projection('in_proj_b', SMALL_KEPT),
          a: projection('in_proj_a', SMALL_KEPT),
        },
    convolution: { weight: `${module}.conv1d.weight`, kernel: config.number('linear_conv_kernel_dim') },
    decay: { logA: `${module}.A_log`, timeBias: `${module}.dt_bias` },
    norm: normPlan(declaration, `${module}.norm`),
    output: projection('out_proj'),
    ...linearHeads(config),
  };
}

function linearHeads(config: ModelConfig) {
  return {
    keyHeads: config.number('linear_num_key_heads'),
    valueHeads: config.number('linear_num_value_heads'),
    keyDim: config.number('linear_key_head_dim'),
    valueDim: config.number('linear_value_head_dim'),
  };
}
