import {
  attentionPlan,
  decoderPlan,
  densePlan,
  headSizes,
  preNormLayer,
  type Declaration,
  type Family,
} from '../declare.js';
import { perHeadNorm } from '../head-norms.js';
import type { AttentionPlan, MaskPlan } from '../plan.js';
import { ropePlan } from '../rope.js';
import { qwenMask } from './qwen2.js';

/** Qwen3: a norm on every query and key head before the rotation. */
export const qwen3: Family = {
  name: 'qwen3',
  architectures: ['Qwen3ForCausalLM'],
  plan(declaration) {
    return decoderPlan(declaration, 'qwen3', (index) => {
      const prefix = `${declaration.root}.layers.${index}`;
      return preNormLayer(declaration, index, {
        mixer: qwen3Attention(declaration, prefix, qwenMask(declaration.config, index)),
        feedForward: densePlan(declaration, `${prefix}.mlp`),
      });
    });
  },
};

/** Attention of qwen3 and qwen3_moe. */
export function qwen3Attention(declaration: Declaration, prefix: string, mask: MaskPlan): AttentionPlan {
  const { config } = declaration;
  return attentionPlan(declaration, prefix, {
    rope: ropePlan(config, headSizes(config)),
    mask,
    queryNorm: perHeadNorm(declaration, `${prefix}.self_attn.q_norm`),
    keyNorm: perHeadNorm(declaration, `${prefix}.self_attn.k_norm`),
  });
}
