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
import { windowMask } from '../masks.js';
import { ropePlan } from '../rope.js';

/** Names of an expert's gate, up and down in mixtral's checkpoints, and in those that follow them. */
export const MIXTRAL_NAMES = ['w1', 'w3', 'w2'] as const;
/** transformers calls the block `mlp`, vLLM keeps the checkpoint's `block_sparse_moe`: the pattern serves both. */
export const MIXTRAL_ROUTER = { pattern: 're:.*(block_sparse_moe|mlp)\\.gate$', reason: ROUTER_KEPT };

/** Mixtral 8x7B and 8x22B. */
export const mixtral: Family = {
  name: 'mixtral',
  architectures: ['MixtralForCausalLM'],
  defaults: { rope_theta: 1_000_000, rms_norm_eps: 1e-5 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(
      declaration,
      'mixtral',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const block = `${prefix}.block_sparse_moe`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, { rope, mask: windowMask(config) }),
          feedForward: moePlan(declaration, {
            router: linearPlan(declaration, `${block}.gate`, ROUTER_KEPT),
            rule: { kind: 'softmax', normalize: true, scale: 1, groups: null },
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
