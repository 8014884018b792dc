import {
  decoderPlan,
  densePlan,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts } from '../experts.js';
import { windowMask } from '../masks.js';
import type { MoePlan } from '../plan.js';
import { isSparseLayer } from './qwen2-moe.js';
import { qwen3Attention } from './qwen3.js';

/** Qwen3-30B-A3B, Qwen3-235B-A22B and Qwen3-Coder. */
export const qwen3Moe: Family = {
  name: 'qwen3_moe',
  architectures: ['Qwen3MoeForCausalLM'],
  defaults: { num_experts: 128, num_experts_per_tok: 8 },
  plan(declaration) {
    const { config, root } = declaration;
    const mask = config.boolean('use_sliding_window', false) ? windowMask(config) : ({ kind: 'causal' } as const);
    return decoderPlan(
      declaration,
      'qwen3_moe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: qwen3Attention(declaration, prefix, mask),
          feedForward: isSparseLayer(declaration, index)
            ? qwen3Experts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }] },
    );
  },
};

function qwen3Experts(declaration: Declaration, module: string): MoePlan {
  const { config } = declaration;
  const count = config.optionalNumber('num_local_experts') ?? config.number('num_experts');
  return moePlan(declaration, {
    router: linearPlan(declaration, `${module}.gate`, ROUTER_KEPT),
    rule: { kind: 'softmax', normalize: config.boolean('norm_topk_prob', false), scale: 1, groups: null },
    topK: config.number('num_experts_per_tok'),
    experts: routedExperts(declaration, `${module}.experts`, count),
  });
}
