import { attentionPlan, headSizes, type Declaration, type Family } from '../declare.js';
import { perHeadNorm } from '../head-norms.js';
import { layerType, layerTypeMask } from '../masks.js';
import type { RopePlan } from '../plan.js';
import { ropePlan } from '../rope.js';
import { gemmaPlan } from './gemma2.js';

/** Gemma 3, text alone or inside the multimodal model: five sliding layers to one full one, each kind with its own rope. */
export const gemma3: Family = {
  name: 'gemma3_text',
  architectures: ['Gemma3ForCausalLM', 'Gemma3ForConditionalGeneration'],
  defaults: {
    hidden_activation: 'gelu_pytorch_tanh',
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    sliding_window_pattern: 6,
    rope_theta: 1_000_000,
    rope_local_base_freq: 10_000,
    tie_word_embeddings: true,
  },
  plan(declaration) {
    const { config } = declaration;
    const ropes = {
      full: gemma3Rope(declaration, 'full_attention'),
      sliding: gemma3Rope(declaration, 'sliding_attention'),
    };
    const pattern = config.number('sliding_window_pattern');
    const rule = (i: number): string => ((i + 1) % pattern === 0 ? 'full_attention' : 'sliding_attention');
    return gemmaPlan(declaration, 'gemma3_text', (prefix, index) => {
      const type = layerType(config, index, rule);
      return attentionPlan(declaration, prefix, {
        rope: type === 'sliding_attention' ? ropes.sliding : ropes.full,
        mask: layerTypeMask(config, type),
        scale: config.number('query_pre_attn_scalar') ** -0.5,
        queryNorm: perHeadNorm(declaration, `${prefix}.self_attn.q_norm`, { offset: 1 }),
        keyNorm: perHeadNorm(declaration, `${prefix}.self_attn.k_norm`, { offset: 1 }),
      });
    });
  },
};

/** `rope_parameters` by layer type; in older configs two thetas, and a scaling that the full layers alone obey. */
function gemma3Rope({ config }: Declaration, type: 'full_attention' | 'sliding_attention'): RopePlan {
  const isFull = type === 'full_attention';
  const theta = { rope_theta: config.number(isFull ? 'rope_theta' : 'rope_local_base_freq') };
  const given = config.object('rope_parameters')?.[type] ?? (isFull ? config.object('rope_scaling') : null) ?? {};
  return ropePlan(config, { ...headSizes(config), parameters: { ...theta, ...given } });
}
