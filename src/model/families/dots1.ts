import {
  attentionPlan,
  decoderPlan,
  densePlan,
  headSizes,
  preNormLayer,
  ROUTER_KEPT,
  type Family,
} from '../declare.js';
import { deepseekExperts, isDeepseekSparse } from '../deepseek-experts.js';
import { perHeadNorm } from '../head-norms.js';
import { layerType, layerTypeMask } from '../masks.js';
import { ropePlan } from '../rope.js';

/** dots.llm1: qwen3's attention, DeepSeek-V3's experts, and upper layers that may slide. */
export const dots1: Family = {
  name: 'dots1',
  architectures: ['Dots1ForCausalLM'],
  defaults: { norm_topk_prob: false, sliding_window: 4096, max_window_layers: 62 },
  plan(declaration) {
    const { config, root } = declaration;
    const rope = ropePlan(config, headSizes(config));
    const type = (i: number): string =>
      i >= config.number('max_window_layers') ? 'sliding_attention' : 'full_attention';
    return decoderPlan(
      declaration,
      'dots1',
      (index) => {
        const prefix = `${root}.layers.${index}`;
        return preNormLayer(declaration, index, {
          mixer: attentionPlan(declaration, prefix, {
            rope,
            mask: layerTypeMask(config, layerType(config, index, type)),
            queryNorm: perHeadNorm(declaration, `${prefix}.self_attn.q_norm`),
            keyNorm: perHeadNorm(declaration, `${prefix}.self_attn.k_norm`),
          }),
          feedForward: isDeepseekSparse(declaration, index)
            ? deepseekExperts(declaration, `${prefix}.mlp`)
            : densePlan(declaration, `${prefix}.mlp`),
        });
      },
      { kept: [{ pattern: 're:.*mlp\\.gate$', reason: ROUTER_KEPT }] },
    );
  },
};
