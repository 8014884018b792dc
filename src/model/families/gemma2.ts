import { roundToHalf } from '../../checkpoint/half.js';
import {
  attentionPlan,
  decoderPlan,
  densePlan,
  headSizes,
  normPlan,
  type Declaration,
  type Family,
} from '../declare.js';
import { preNormEdges } from '../edges.js';
import { alternating, layerType, layerTypeMask } from '../masks.js';
import type { AttentionPlan, LayerPlan, ModelPlan } from '../plan.js';
import { ropePlan } from '../rope.js';

/** Gemma 2: norms before and after each block, every second layer slides, scores and logits are capped. */
export const gemma2: Family = {
  name: 'gemma2',
  architectures: ['Gemma2ForCausalLM'],
  defaults: {
    hidden_activation: 'gelu_pytorch_tanh',
    num_attention_heads: 8,
    num_key_value_heads: 4,
    head_dim: 256,
    query_pre_attn_scalar: 256,
    sliding_window: 4096,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
    tie_word_embeddings: true,
  },
  plan(declaration) {
    const { config } = declaration;
    const rope = ropePlan(config, headSizes(config));
    return gemmaPlan(declaration, 'gemma2', (prefix, index) =>
      attentionPlan(declaration, prefix, {
        rope,
        mask: layerTypeMask(config, layerType(config, index, alternating)),
        scale: config.number('query_pre_attn_scalar') ** -0.5,
        softcap: config.optionalNumber('attn_logit_softcapping'),
      }),
    );
  },
};

/** What Gemma 2 and 3 share: zero-centred norms around both blocks, and a scaled embedding. */
export function gemmaPlan(
  declaration: Declaration,
  family: string,
  mixer: (prefix: string, index: number) => AttentionPlan,
): ModelPlan {
  const { config, root } = declaration;
  const tensor = `${root}.embed_tokens.weight`;
  return decoderPlan(declaration, family, (index) => gemmaLayer(declaration, index, mixer), {
    embedding: { tensor, scale: embeddingScale(declaration, tensor) },
    finalNorm: normPlan(declaration, `${root}.norm`, 1),
    head: { softcap: config.optionalNumber('final_logit_softcapping') },
  });
}

function gemmaLayer(
  declaration: Declaration,
  index: number,
  mixer: (prefix: string, index: number) => AttentionPlan,
): LayerPlan {
  const prefix = `${declaration.root}.layers.${index}`;
  const norm = (name: string) => normPlan(declaration, `${prefix}.${name}`, 1);
  const layer = {
    index,
    prefix,
    inputNorm: norm('input_layernorm'),
    mixer: mixer(prefix, index),
    mixerOutputNorm: norm('post_attention_layernorm'),
    feedForwardNorm: norm('pre_feedforward_layernorm'),
    feedForward: densePlan(declaration, `${prefix}.mlp`),
    feedForwardOutputNorm: norm('post_feedforward_layernorm'),
    residualScale: 1,
  };
  return { ...layer, edges: preNormEdges(layer) };
}

/** √hidden, rounded to the dtype that the embedding is stored in, as the model was trained with. */
function embeddingScale({ config, source }: Declaration, tensor: string): number {
  const scale = Float32Array.of(Math.sqrt(config.number('hidden_size')));
  const dtype = source.infos.get(tensor)?.dtype;
  return (dtype === 'BF16' || dtype === 'F16' ? roundToHalf(scale, dtype) : scale)[0]!;
}
