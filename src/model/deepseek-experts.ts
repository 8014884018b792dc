import { linearPlan, ROUTER_KEPT, type Declaration } from './declare.js';
import { moePlan, routedExperts, sharedExpertPlan } from './experts.js';
import type { MoePlan } from './plan.js';
import type { GroupLimit } from './router-rule.js';

/** Every layer from `first_k_dense_replace` on has experts. */
export function isDeepseekSparse({ config }: Declaration, layer: number): boolean {
  return layer >= config.number('first_k_dense_replace', 0);
}

/**
 * DeepSeek-V3's MoE block (arXiv 2412.19437 §2.1.2), which glm4_moe and dots1 took over: sigmoid scores, a correction
 * bias for the choice alone, groups scored by their two best experts, and shared experts beside the routed ones.
 */
export function deepseekExperts(declaration: Declaration, module: string): MoePlan {
  const { config } = declaration;
  return moePlan(declaration, {
    router: linearPlan(declaration, `${module}.gate`, ROUTER_KEPT),
    rule: {
      kind: 'sigmoid',
      correctionBias: `${module}.gate.e_score_correction_bias`,
      normalize: config.boolean('norm_topk_prob', true),
      normalizeEpsilon: 1e-20,
      scale: config.number('routed_scaling_factor', 1),
      groups: groupLimit(declaration, 2),
    },
    topK: config.number('num_experts_per_tok'),
    experts: routedExperts(declaration, `${module}.experts`, config.number('n_routed_experts')),
    shared: sharedExpertPlan(declaration, `${module}.shared_experts`),
  });
}

/** `n_group` and `topk_group`, or null where they exclude nothing. */
export function groupLimit({ config }: Declaration, top: GroupLimit['top']): GroupLimit | null {
  const count = config.number('n_group', 1);
  const keep = config.number('topk_group', 1);
  return keep >= count ? null : { count, keep, top };
}
