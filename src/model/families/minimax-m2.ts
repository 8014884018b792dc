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
import { MIXTRAL_NAMES, MIXTRAL_ROUTER } from './mixtral.js';

/** MiniMax-M2: mixtral's names, a sigmoid router with a correction bias, and norms over the whole query and key. */
export const minimaxM2: Family = {
  name: 'minimax_m2',
  architectures: ['MiniMaxM2ForCausalLM'],
  defaults: { rope_theta: 5_000_000, head_dim: 128 },
  plan(declaration) {
    const { config, root } = declaration;
    const { headDim } = headSizes(config);
    // Released configs state the rotated part of a head in features instead of as a factor.
    const rotaryDim = config.number('rotary_dim', headDim);
    const rope = ropePlan(config, { headDim, defaultPartialFactor: rotaryDim / headDim });
    return decoderPlan(
      declaration,
      'minimax_m2',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const block = `${prefix}.block_sparse_moe`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, {
            rope,
            queryNorm: widthNorm(declaration, `${prefix}.self_attn.q_norm`),
            keyNorm: widthNorm(declaration, `${prefix}.self_attn.k_norm`),
          }),
          feedForward: moePlan(declaration, {
            router: linearPlan(declaration, `${block}.gate`, ROUTER_KEPT),
            rule: {
              kind: 'sigmoid',
              correctionBias: `${block}.e_score_correction_bias`,
              normalize: true,
              normalizeEpsilon: 0,
              scale: 1,
              groups: null,
            },
            topK: config.number('num_experts_per_tok'),
            experts: routedExperts(declaration, `${block}.experts`, config.number('num_local_experts'), {
              names: MIXTRAL_NAMES,
            }),
          }),
        });
      },
      { kept: [MIXTRAL_ROUTER] },
    );
  },
};
