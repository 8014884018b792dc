import type { ModelConfig } from './config.js';
import type { MaskPlan } from './plan.js';

const CAUSAL: MaskPlan = { kind: 'causal' };

/** Every layer slides where the config has a `sliding_window`. */
export function windowMask(config: ModelConfig): MaskPlan {
  const window = config.optionalNumber('sliding_window');
  return window === null ? CAUSAL : { kind: 'sliding', window };
}

/** The kind of a layer's attention: `layer_types` where the config has them, else what the family's rule says. */
export function layerType(config: ModelConfig, layer: number, rule: (layer: number) => string): string {
  return config.strings('layer_types')?.[layer] ?? rule(layer);
}

/** gemma2's and gpt_oss's rule for `layer_types`: every second layer slides, from the first on. */
export function alternating(layer: number): string {
  return layer % 2 === 0 ? 'sliding_attention' : 'full_attention';
}

/** The mask of an entry of `layer_types`. */
export function layerTypeMask(config: ModelConfig, type: string): MaskPlan {
  if (type === 'sliding_attention') return windowMask(config);
  const size = type === 'chunked_attention' ? config.optionalNumber('attention_chunk_size') : null;
  return size === null ? CAUSAL : { kind: 'chunked', size };
}
