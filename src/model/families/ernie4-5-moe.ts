import {
  attentionPlan,
  decoderPlan,
  densePlan,
  headSizes,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts, sharedExpertPlan } from '../experts.js';
import type { MoePlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/** ERNIE 4.5 (text): rotates neighbouring pairs, and corrects the choice of a softmax router with a bias. */
export const ernie45Moe: Family = {
  name: 'ernie4_5_moe',
  architectures: ['Ernie4_5_MoeForCausalLM'],
  defaults: { rope_theta: 500_000, rms_norm_eps: 1e-5, tie_word_embeddings: true, moe_layer_start_index: 1 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, { ...headSizes(config), interleaved: true });
    return decoderPlan(
      declaration,
      'ernie4_5_moe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, { rope }),
          feedForward: isSparse(declaration, index)
            ? ernieExperts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }] },
    );
  },
};

/** Every `moe_layer_interval`-th layer from the start index to the end index, both included; end −1 is the last layer. */
function isSparse({ config }: Declaration, layer: number): boolean {
  const end = config.number('moe_layer_end_index', -1);
  return (
    (layer + 1) % config.number('moe_layer_interval', 1) === 0 &&
    layer >= config.number('moe_layer_start_index') &&
    (end === -1 || layer <= end)
  );
}

function ernieExperts(declaration: Declaration, module: string): MoePlan {
  const { config } = declaration;
  return moePlan(declaration, {
    router: linearPlan(declaration, `${module}.gate`, ROUTER_KEPT),
    rule: {
      kind: 'softmax-corrected',
      correctionBias: `${module}.moe_statics.e_score_correction_bias`,
      minimumSum: config.number('moe_norm_min', 1e-12),
    },
    topK: config.number('moe_k', 6),
    experts: routedExperts(declaration, `${module}.experts`, config.number('moe_num_experts')),
    shared: sharedExpertPlan(declaration, `${module}.shared_experts`),
  });
}
