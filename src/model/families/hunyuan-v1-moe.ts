import {
  attentionPlan,
  decoderPlan,
  headSizes,
  linearPlan,
  preNormLayer,
  ROUTER_KEPT,
  type Family,
} from '../declare.js';
import { moePlan, routedExperts, sharedExpertPlan } from '../experts.js';
import { perHeadNorm } from '../head-norms.js';
import { ropePlan } from '../rope.js';

/** Hunyuan-A13B: norms on query and key heads after the rotation; settings of the experts may differ by layer. */
export const hunyuanV1Moe: Family = {
  name: 'hunyuan_v1_moe',
  architectures: ['HunYuanMoEV1ForCausalLM'],
  defaults: { rms_norm_eps: 1e-5 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return decoderPlan(
      declaration,
      'hunyuan_v1_moe',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        const block = `${prefix}.mlp`;
        const norm = (name: string) => perHeadNorm(declaration, `${prefix}.self_attn.${name}`, { order: 'after-rope' });
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, {
            rope,
            queryNorm: norm('query_layernorm'),
            keyNorm: norm('key_layernorm'),
          }),
          feedForward: moePlan(declaration, {
            router: linearPlan(declaration, `${block}.gate.wg`, ROUTER_KEPT),
            rule: { kind: 'softmax', normalize: true, scale: 1, groups: null },
            topK: config.numberAt('moe_topk', index),
            experts: routedExperts(declaration, `${block}.experts`, config.numberAt('num_experts', index)),
            shared: sharedExpertPlan(declaration, `${block}.shared_mlp`),
          }),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate(\\.wg)?$', reason: ROUTER_KEPT }] },
    );
  },
};
