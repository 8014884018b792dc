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
import { alternating, layerType, layerTypeMask } from '../masks.js';
import { ropePlan } from '../rope.js';

/** The experts' activation as released; transformers has both numbers fixed in the modeling file. */
const ALPHA = 1.702;
const LIMIT = 7;

/**
 * gpt-oss, from bf16 or MXFP4: biases everywhere, a sink per head, gate and up interleaved in one transposed tensor, and
 * a clamped activation, behind which nothing can be smoothed.
 */
export const gptOss: Family = {
  name: 'gpt_oss',
  architectures: ['GptOssForCausalLM'],
  defaults: {
    rope_theta: 150_000,
    rms_norm_eps: 1e-5,
    head_dim: 64,
    sliding_window: 128,
    rope_scaling: {
      rope_type: 'yarn',
      factor: 32,
      beta_fast: 32,
      beta_slow: 1,
      truncate: false,
      original_max_position_embeddings: 4096,
    },
  },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(
      declaration,
      'gpt_oss',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const experts = `${prefix}.mlp.experts`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, {
            rope,
            mask: layerTypeMask(config, layerType(config, index, alternating)),
            sinks: `${prefix}.self_attn.sinks`,
          }),
          feedForward: moePlan(declaration, {
            router: linearPlan(declaration, `${prefix}.mlp.router`, ROUTER_KEPT),
            rule: { kind: 'softmax-of-chosen' },
            topK: config.number('num_experts_per_tok', 4),
            experts: routedExperts(declaration, experts, config.number('num_local_experts'), {
              fused: {
                gateUp: `${experts}.gate_up_proj`,
                down: `${experts}.down_proj`,
                transposed: true,
                interleaved: true,
              },
            }),
            activation: { kind: 'clamped-swiglu', alpha: ALPHA, limit: config.number('swiglu_limit', LIMIT) },
          }),
        });
      },
      {
        kept: [
          { pattern: 're:.*mlp\\.router$', reason: ROUTER_KEPT },
          {
            pattern: 're:.*mlp\\.experts.*',
            reason: "experts with biases: no runtime loads them in 4 bits but in the checkpoint's own MXFP4",
          },
        ],
      },
    );
  },
};
