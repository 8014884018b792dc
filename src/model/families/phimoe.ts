import {
  attentionPlan,
  decoderPlan,
  headSizes,
  linearPlan,
  normPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Declaration,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts } from '../experts.js';
import { windowMask } from '../masks.js';
import type { RopePlan } from '../plan.js';
import { ropePlan } from '../rope.js';
import { MIXTRAL_NAMES } from './mixtral.js';

/** sparsemixer chooses two experts, whatever `num_experts_per_tok` says. */
const CHOSEN = 2;

/** Phi-3.5-MoE: LayerNorms with a bias, sparsemixer, and a longrope whose magnitudes are stated. */
export const phimoe: Family = {
  name: 'phimoe',
  architectures: ['PhimoeForCausalLM', 'PhiMoEForCausalLM'],
  defaults: { rope_theta: 1_000_000, rms_norm_eps: 1e-5, router_jitter_noise: 0.01 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = phimoeRope(declaration);
    const norm = (module: string) => normPlan(declaration, module, 0, 'layer');
    return decoderPlan(
      declaration,
      'phimoe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const block = `${prefix}.block_sparse_moe`;
        return preNormLayer(declaration, index, {
          inputNorm: norm(`${prefix}.input_layernorm`),
          mixer: attentionPlan(declaration, prefix, { rope, mask: windowMask(config) }),
          feedForwardNorm: norm(`${prefix}.post_attention_layernorm`),
          feedForward: moePlan(declaration, {
            router: linearPlan(declaration, `${block}.gate`, ROUTER_KEPT),
            rule: { kind: 'sparsemixer', jitter: config.number('router_jitter_noise') },
            topK: CHOSEN,
            experts: routedExperts(declaration, `${block}.experts`, config.number('num_local_experts', 16), {
              names: MIXTRAL_NAMES,
            }),
          }),
        });
      },
      {
        finalNorm: norm(`${root}.norm`),
        kept: [
          { pattern: 're:.*(block_sparse_moe|mlp)\\.gate$', reason: ROUTER_KEPT },
          { pattern: 're:.*mlp\\.router$', reason: ROUTER_KEPT },
        ],
      },
    );
  },
};

/** `short_mscale` and `long_mscale` take the place of longrope's attention factor. */
function phimoeRope({ config }: Declaration): RopePlan {
  const rope = ropePlan(config, headSizes(config));
  const settings = config.object('rope_parameters') ?? config.object('rope_scaling') ?? {};
  const magnitude = (key: string): number => (typeof settings[key] === 'number' ? settings[key] : rope.attentionFactor);
  if (rope.long === null) return rope;
  return {
    ...rope,
    attentionFactor: magnitude('short_mscale'),
    long: { ...rope.long, attentionFactor: magnitude('long_mscale') },
  };
}
