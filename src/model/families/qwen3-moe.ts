import {
  activationPlan,
  decoderPlan,
  densePlan,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  separateExperts,
  type Declaration,
  type Family,
} from '../declare.js';
import type { MoePlan } from '../plan.js';
import { qwenMask } from './qwen2.js';
import { qwen3Attention } from './qwen3.js';

/** Qwen3-30B-A3B, Qwen3-235B-A22B and Qwen3-Coder. */
export const qwen3Moe: Family = {
  name: 'qwen3_moe',
  architectures: ['Qwen3MoeForCausalLM'],
  plan(declaration) {
    return decoderPlan(
      declaration,
      'qwen3_moe',
      (index) => {
        const prefix = `${declaration.root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: qwen3Attention(declaration, prefix, qwenMask(declaration.config, index)),
          feedForward: isSparseLayer(declaration, index)
            ? qwenExperts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }] },
    );
  },
};

/** `mlp_only_layers` are dense, and of the rest only every `decoder_sparse_step`-th has experts. */
export function isSparseLayer({ config }: Declaration, index: number): boolean {
  if (config.numbers('mlp_only_layers')?.includes(index)) return false;
  return (index + 1) % config.number('decoder_sparse_step', 1) === 0;
}

function qwenExperts(declaration: Declaration, module: string): MoePlan {
  const { config } = declaration;
  const count = config.number('num_experts', config.optionalNumber('num_local_experts') ?? undefined);
  return {
    kind: 'moe',
    router: linearPlan(declaration, `${module}.gate`, ROUTER_KEPT),
    rule: { kind: 'softmax', normalize: config.boolean('norm_topk_prob', false), scale: 1, groups: null },
    topK: config.number('num_experts_per_tok'),
    experts: separateExperts(declaration, `${module}.experts`, count),
    activation: activationPlan(config),
    weightOn: 'output',
    shared: null,
  };
}
