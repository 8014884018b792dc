import { decoderPlan, densePlan, normPlan, preNormLayer, type Family } from '../declare.js';
import { GATED_DELTA_DEFAULTS, GATED_DELTA_KEPT, hybridMixer } from '../gated-delta.js';
import { isSparseLayer, QWEN2_MOE_KEPT, qwen2MoeExperts } from './qwen2-moe.js';

/** Qwen3-Next: gated delta net in three layers of four, gated attention in the fourth; norms are zero-centred. */
export const qwen3Next: Family = {
  name: 'qwen3_next',
  architectures: ['Qwen3NextForCausalLM'],
  defaults: {
    ...GATED_DELTA_DEFAULTS,
    linear_num_value_heads: 32,
    num_experts: 512,
    num_experts_per_tok: 10,
    norm_topk_prob: true,
  },
  plan(declaration) {
    const { root } = declaration;
    return decoderPlan(
      declaration,
      'qwen3_next',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const mixer = hybridMixer(declaration, prefix, index);
        const feedForward = isSparseLayer(declaration, index)
          ? qwen2MoeExperts(declaration, `${prefix}.mlp`)
          : densePlan(declaration, `${prefix}.mlp`);
        return preNormLayer(declaration, index, { mixer, feedForward }, 1);
      },
      { finalNorm: normPlan(declaration, `${root}.norm`, 1), kept: [...QWEN2_MOE_KEPT, ...GATED_DELTA_KEPT] },
    );
  },
};
