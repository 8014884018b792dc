import {
  attentionPlan,
  decoderPlan,
  headSizes,
  linearPlan,
  normPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts } from '../experts.js';
import { perHeadNorm } from '../head-norms.js';
import { layerType } from '../masks.js';
import type { AttentionPlan, DensePlan, HeadNorm, MoePlan, ShortConvolutionPlan } from '../plan.js';
import { ropePlan } from '../rope.js';

const EXPERT_NAMES = ['w1', 'w3', 'w2'] as const;

/** LFM2-8B-A1B: short convolutions and attention, dense layers first, then experts routed by sigmoid scores. */
export const lfm2Moe: Family = {
  name: 'lfm2_moe',
  architectures: ['Lfm2MoeForCausalLM'],
  defaults: {
    rope_theta: 1e6,
    norm_eps: 1e-5,
    num_key_value_heads: 8,
    conv_L_cache: 3,
    num_dense_layers: 2,
    num_experts: 32,
    num_experts_per_tok: 4,
    use_expert_bias: true,
    norm_topk_prob: true,
    tie_word_embeddings: true,
  },
  plan(declaration) {
    const { config, root } = declaration;
    return decoderPlan(
      declaration,
      'lfm2_moe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const attends = layerType(config, index, () => 'full_attention') === 'full_attention';
        const isDense = index < config.number('num_dense_layers');
        return preNormLayer(declaration, index, {
          inputNorm: normPlan(declaration, `${prefix}.operator_norm`),
          mixer: attends ? lfm2Attention(declaration, prefix) : lfm2Convolution(declaration, `${prefix}.conv`),
          feedForwardNorm: normPlan(declaration, `${prefix}.ffn_norm`),
          feedForward: (isDense ? lfm2Dense : lfm2Experts)(declaration, `${prefix}.feed_forward`),
        });
      },
      {
        finalNorm: normPlan(declaration, `${root}.embedding_norm`),
        kept: [
          { pattern: 're:.*feed_forward\\.gate$', reason: ROUTER_KEPT },
          { pattern: 're:.*\\.conv\\.conv$', reason: 'convolution: a few taps per channel' },
        ],
      },
    );
  },
};

function lfm2Attention(declaration: Declaration, prefix: string): AttentionPlan {
  const { config } = declaration;
  const epsilon = config.number('norm_eps');
  const norm = (name: string): HeadNorm => ({ ...perHeadNorm(declaration, `${prefix}.self_attn.${name}`), epsilon });
  return attentionPlan(
    declaration,
    prefix,
    {
      rope: ropePlan(config, headSizes(config)),
      queryNorm: norm('q_layernorm'),
      keyNorm: norm('k_layernorm'),
    },
    'out_proj',
  );
}

function lfm2Convolution(declaration: Declaration, module: string): ShortConvolutionPlan {
  const { config, source } = declaration;
  return {
    kind: 'short-convolution',
    input: linearPlan(declaration, `${module}.in_proj`),
    convolution: {
      weight: `${module}.conv.weight`,
      bias: source.has(`${module}.conv.bias`) ? `${module}.conv.bias` : null,
      kernel: config.number('conv_L_cache'),
    },
    output: linearPlan(declaration, `${module}.out_proj`),
  };
}

/** w2(silu(w1·x) ⊙ w3·x). */
function lfm2Dense(declaration: Declaration, module: string): DensePlan {
  const [gate, up, down] = EXPERT_NAMES.map((name) => linearPlan(declaration, `${module}.${name}`));
  return {
    kind: 'dense',
    projections: { kind: 'separate', gate: gate!, up: up! },
    down: down!,
    activation: { kind: 'silu' },
  };
}

function lfm2Experts(declaration: Declaration, module: string): MoePlan {
  const { config } = declaration;
  return moePlan(declaration, {
    router: linearPlan(declaration, `${module}.gate`, ROUTER_KEPT),
    rule: {
      kind: 'sigmoid',
      correctionBias: config.boolean('use_expert_bias', true) ? `${module}.expert_bias` : null,
      normalize: config.boolean('norm_topk_prob', true),
      normalizeEpsilon: 1e-6,
      scale: config.number('routed_scaling_factor', 1),
      groups: null,
    },
    topK: config.number('num_experts_per_tok'),
    experts: routedExperts(declaration, `${module}.experts`, config.number('num_experts'), { names: EXPERT_NAMES }),
    activation: { kind: 'silu' },
  });
}
