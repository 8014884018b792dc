import {
  attentionPlan,
  decoderPlan,
  headSizes,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts } from '../experts.js';
import { activationPlan } from '../declare.js';
import type { MoePlan, SharedExpertPlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/** Granite 3 MoE, with or without a shared expert: fused experts, and a multiplier at every joint of the model. */
export const graniteMoe: Family = {
  name: 'granitemoe',
  architectures: ['GraniteMoeForCausalLM', 'GraniteMoeSharedForCausalLM'],
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(
      declaration,
      'granitemoe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, { rope, scale: config.number('attention_multiplier', 1) }),
          feedForward: graniteExperts(declaration, prefix),
          residualScale: config.number('residual_multiplier', 1),
        });
      },
      {
        embedding: { tensor: `${root}.embed_tokens.weight`, scale: config.number('embedding_multiplier', 1) },
        head: { divisor: config.number('logits_scaling', 1) },
        kept: [{ pattern: 're:.*block_sparse_moe\\.router.*', reason: ROUTER_KEPT }],
      },
    );
  },
};

function graniteExperts(declaration: Declaration, prefix: string): MoePlan {
  const { config } = declaration;
  const block = `${prefix}.block_sparse_moe`;
  return moePlan(declaration, {
    router: linearPlan(declaration, `${block}.router.layer`, ROUTER_KEPT),
    rule: { kind: 'softmax-of-chosen' },
    topK: config.number('num_experts_per_tok', 2),
    experts: routedExperts(declaration, `${block}.experts`, config.number('num_local_experts', 8), {
      fused: { gateUp: `${block}.input_linear.weight`, down: `${block}.output_linear.weight` },
    }),
    shared: sharedMlp(declaration, `${prefix}.shared_mlp`),
  });
}

/** Gate and up of the shared expert are one Linear. */
function sharedMlp(declaration: Declaration, module: string): SharedExpertPlan | null {
  if (!declaration.source.has(`${module}.input_linear.weight`)) return null;
  return {
    dense: {
      kind: 'dense',
      projections: { kind: 'fused', gateUp: linearPlan(declaration, `${module}.input_linear`) },
      down: linearPlan(declaration, `${module}.output_linear`),
      activation: activationPlan(declaration.config),
    },
    gate: null,
  };
}
