import type { ModelConfig } from '../config.js';
import {
  attentionPlan,
  decoderPlan,
  densePlan,
  headSizes,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  SHARED_GATE_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts, sharedExpertPlan } from '../experts.js';
import { layerType, layerTypeMask } from '../masks.js';
import type { MaskPlan, MoePlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/** Qwen1.5-MoE and Qwen2-57B-A14B: a shared expert behind a sigmoid gate beside the routed ones. */
export const qwen2Moe: Family = {
  name: 'qwen2_moe',
  architectures: ['Qwen2MoeForCausalLM'],
  defaults: { num_experts: 60, num_experts_per_tok: 4, max_window_layers: 28 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(
      declaration,
      'qwen2_moe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, { rope, mask: qwen2MoeMask(config, index) }),
          feedForward: isSparseLayer(declaration, index)
            ? qwen2MoeExperts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: QWEN2_MOE_KEPT },
    );
  },
};

export const QWEN2_MOE_KEPT = [
  { pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT },
  { pattern: 're:.*shared_expert_gate$', reason: SHARED_GATE_KEPT },
];

/** `mlp_only_layers` are dense, and of the rest only every `decoder_sparse_step`-th has experts. */
export function isSparseLayer({ config }: Declaration, index: number): boolean {
  if (config.numbers('mlp_only_layers')?.includes(index)) return false;
  return (index + 1) % config.number('decoder_sparse_step', 1) === 0;
}

/** The MoE block of qwen2_moe and qwen3_next: softmax over all experts, and a gated shared expert. */
export function qwen2MoeExperts(declaration: Declaration, module: string): MoePlan {
  const { config, source } = declaration;
  const gate = `${module}.shared_expert_gate`;
  return moePlan(declaration, {
    router: linearPlan(declaration, `${module}.gate`, ROUTER_KEPT),
    rule: { kind: 'softmax', normalize: config.boolean('norm_topk_prob', false), scale: 1, groups: null },
    topK: config.number('num_experts_per_tok'),
    experts: routedExperts(declaration, `${module}.experts`, config.number('num_experts')),
    shared: sharedExpertPlan(
      declaration,
      `${module}.shared_expert`,
      source.has(`${gate}.weight`) ? linearPlan(declaration, gate, SHARED_GATE_KEPT) : null,
    ),
  });
}

/** Without `layer_types`, every second layer below `max_window_layers` slides; nothing does unless the config says so. */
function qwen2MoeMask(config: ModelConfig, layer: number): MaskPlan {
  if (!config.boolean('use_sliding_window', false)) return { kind: 'causal' };
  const rule = (i: number): string =>
    i % 2 === 0 && i < config.number('max_window_layers') ? 'sliding_attention' : 'full_attention';
  return layerTypeMask(config, layerType(config, layer, rule));
}
