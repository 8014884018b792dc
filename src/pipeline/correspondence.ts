import type { Targets } from '../awq/targets.js';
import type { Checkpoint } from '../checkpoint/open.js';
import type { VerifyOptions } from '../checkpoint/verify/verify.js';
import { usableEdges } from '../engine/smoothing.js';
import { layerLinears } from '../model/linears.js';
import type { ModelPlan } from '../model/plan.js';

type Part = VerifyOptions['linearized'] extends ReadonlyMap<string, readonly (infer P)[]> ? P : never;

/** What verification has to know of a run: which fused tensors were split, and which tensors smoothing rewrote. */
export function correspondence(
  checkpoint: Checkpoint,
  plan: ModelPlan,
  targets: Targets,
): Pick<VerifyOptions, 'linearized' | 'rewritten'> {
  const linearized = new Map<string, Part[]>();
  const rewritten = new Set<string>();
  const addPart = (source: string, part: Part): void => {
    const parts = linearized.get(source);
    if (parts === undefined) linearized.set(source, [part]);
    else parts.push(part);
  };
  for (const layer of plan.layers) {
    for (const { module, weight, bias, outFeatures, inFeatures } of layerLinears(layer)) {
      if (!targets.quantized.has(module)) continue;
      if (weight.tensor !== `${module}.weight`)
        addPart(weight.tensor, { name: `${module}.weight`, shape: [outFeatures, inFeatures] });
      if (bias !== null && bias.tensor !== `${module}.bias`)
        addPart(bias.tensor, { name: `${module}.bias`, shape: [outFeatures] });
      if (bias?.tensor === `${module}.bias`) rewritten.add(bias.tensor);
    }
    for (const { source, readers } of usableEdges(layer, targets)) {
      if (source.kind === 'norm') {
        rewritten.add(source.norm.weight);
        if (source.norm.bias !== null) rewritten.add(source.norm.bias);
      } else if (!targets.quantized.has(source.linear.module)) {
        rewritten.add(source.linear.weight.tensor);
        if (source.linear.bias !== null) rewritten.add(source.linear.bias.tensor);
      }
      for (const { module, weight } of readers) if (!targets.quantized.has(module)) rewritten.add(weight.tensor);
    }
  }
  for (const { name, encoding } of checkpoint.tensors.values())
    if (encoding !== 'plain' && !linearized.has(name)) rewritten.add(name);
  return { linearized, rewritten };
}
