import { roundToNearest } from '../awq/round-to-nearest.js';
import { chooseTargets } from '../awq/targets.js';
import type { Scheme } from '../awq/scheme.js';
import { layerLinears } from '../model/linears.js';
import type { ModelPlan } from '../model/plan.js';
import { weightKey, type WeightReader } from '../runtime/weights.js';
import type { QuantizeSettings } from './quantize-settings.js';

/** A view of a model as plain round-to-nearest would leave it, with nothing written: the baseline of an evaluation. */
export function roundedReader(stored: WeightReader, plan: ModelPlan, settings: QuantizeSettings): WeightReader {
  const { quantized } = chooseTargets(plan, settings);
  const schemes = new Map<string, Scheme>();
  for (const linear of plan.layers.flatMap(layerLinears)) {
    const scheme = quantized.get(linear.module);
    if (scheme !== undefined) schemes.set(weightKey(linear.weight), scheme);
  }
  return {
    ...stored,
    weight(ref, allocate) {
      const feed = stored.weight(ref, allocate);
      const scheme = schemes.get(weightKey(ref));
      if (scheme !== undefined) roundToNearest(feed.data, feed.shape[1]!, scheme, settings.scaleDtype);
      return feed;
    },
  };
}
