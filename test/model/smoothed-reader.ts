import { smoothWeight } from '../../src/engine/smooth-weight.js';
import type { Smoothing } from '../../src/engine/smoothing.js';
import { layerLinears } from '../../src/model/linears.js';
import type { Linear, ModelPlan, VectorRef, WeightRef } from '../../src/model/plan.js';
import type { WeightReader } from '../../src/runtime/weights.js';

/** The weights as a quantizer would write them after smoothing, were nothing rounded. */
export function smoothedReader(stored: WeightReader, plan: ModelPlan, smoothing: Smoothing): WeightReader {
  const linears = plan.layers.flatMap(layerLinears);
  const byWeight = new Map<WeightRef, Linear>(linears.map((linear) => [linear.weight, linear]));
  const byBias = new Map<VectorRef, Linear>(
    linears.flatMap((linear) => (linear.bias === null ? [] : [[linear.bias, linear] as const])),
  );
  const biasOfNorm = new Map([...smoothing.norms.values()].map(({ bias, scales }) => [bias, scales]));
  return {
    raw: (tensor) => stored.raw(tensor),
    weight(ref) {
      const feed = stored.weight(ref);
      const linear = byWeight.get(ref);
      if (linear === undefined) return feed;
      const { inFeatures, module } = linear;
      const [inputs, outputs] = [smoothing.inputs.get(module) ?? null, smoothing.outputs.get(module) ?? null];
      return { ...feed, data: smoothWeight(feed.data, inFeatures, inputs, outputs) };
    },
    vector(ref) {
      const values = stored.vector(ref);
      const norm = smoothing.norms.get(ref.tensor);
      if (norm !== undefined) return values.map((w, i) => (w + norm.offset) / norm.scales[i]! - norm.offset);
      const linear = byBias.get(ref);
      const divisors = linear === undefined ? biasOfNorm.get(ref.tensor) : smoothing.outputs.get(linear.module);
      return divisors === undefined ? values : values.map((value, i) => value / divisors[i]!);
    },
  };
}
