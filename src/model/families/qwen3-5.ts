import { decoderPlan, densePlan, normPlan, preNormLayer, type Declaration, type Family } from '../declare.js';
import { GATED_DELTA_DEFAULTS, GATED_DELTA_KEPT, hybridMixer } from '../gated-delta.js';
import type { DensePlan, KeptModule, ModelPlan, MoePlan } from '../plan.js';
import { QWEN2_MOE_KEPT, qwen2MoeExperts } from './qwen2-moe.js';

const DEFAULTS = { ...GATED_DELTA_DEFAULTS, linear_num_value_heads: 32 } as const;

/** Qwen3.5 with experts in every layer: qwen3_next's mixers with projections apart; text alone or as a multimodal model. */
export const qwen35Moe: Family = {
  name: 'qwen3_5_moe',
  architectures: ['Qwen3_5MoeForCausalLM', 'Qwen3_5MoeForConditionalGeneration'],
  // The router always renormalizes, whatever the config says.
  defaults: { ...DEFAULTS, num_experts: 256, num_experts_per_tok: 8 },
  plan: (declaration) =>
    qwen35Plan(declaration, 'qwen3_5_moe', QWEN2_MOE_KEPT, (module) => {
      const experts = qwen2MoeExperts(declaration, module);
      return { ...experts, rule: { kind: 'softmax', normalize: true, scale: 1, groups: null } };
    }),
};

/** Qwen3.5 without experts. */
export const qwen35: Family = {
  name: 'qwen3_5',
  architectures: ['Qwen3_5ForCausalLM', 'Qwen3_5ForConditionalGeneration'],
  defaults: DEFAULTS,
  plan: (declaration) => qwen35Plan(declaration, 'qwen3_5', [], (module) => densePlan(declaration, module)),
};

function qwen35Plan(
  declaration: Declaration,
  family: string,
  kept: readonly KeptModule[],
  feedForward: (module: string) => DensePlan | MoePlan,
): ModelPlan {
  const { root } = declaration;
  return decoderPlan(
    declaration,
    family,
    (index) => {
      const prefix = `${root}.layers.${index}`;
      const mixer = hybridMixer(declaration, prefix, index);
      return preNormLayer(declaration, index, { mixer, feedForward: feedForward(`${prefix}.mlp`) }, 1);
    },
    { finalNorm: normPlan(declaration, `${root}.norm`, 1), kept: [...kept, ...GATED_DELTA_KEPT] },
  );
}
