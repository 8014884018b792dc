import type { Targets } from '../awq/targets.js';
import { encodeTensor, type EncodedTensor } from '../checkpoint/encode.js';
import type { Checkpoint } from '../checkpoint/open.js';
import { linearsByTap } from '../model/linears.js';
import type { LayerPlan, Linear } from '../model/plan.js';
import { readVector, readWeight } from '../runtime/weights.js';
import { rewrittenDtype } from './output-plan.js';
import type { QuantizeContext } from './quantize-context.js';
import { smoothWeight } from './smooth-weight.js';
import { usableEdges, type Smoothing } from './smoothing.js';

/** Norms divided, kept readers multiplied, kept sources and biases divided, in the dtype they are stored in. */
export function rewriteTensors(
  { checkpoint, targets, settings }: QuantizeContext,
  layer: LayerPlan,
  smoothing: Smoothing,
): EncodedTensor[] {
  const out = new Map<string, EncodedTensor>();
  const emit = (name: string, values: Float32Array, shape: readonly number[], stored: string): void => {
    out.set(name, encodeTensor(name, rewrittenDtype(checkpoint, stored, settings.scaleDtype), shape, values));
  };
  for (const { source, readers } of usableEdges(layer, targets)) {
    if (source.kind === 'norm') {
      const { weight, bias, offset } = source.norm;
      const scales = smoothing.norms.get(weight)?.scales ?? null;
      const divide = (tensor: string, by: 0 | 1): void =>
        emit(
          tensor,
          checkpoint.read(tensor).map((value, i) => (scales === null ? value : (value + by) / scales[i]! - by)),
          checkpoint.shape(tensor),
          tensor,
        );
      divide(weight, offset);
      if (bias !== null) divide(bias, 0);
    }
    const kept = [...readers, ...(source.kind === 'linear' ? [source.linear] : [])].filter(
      ({ module }) => !targets.quantized.has(module),
    );
    for (const linear of kept) {
      const { data, shape } = readWeight(checkpoint, linear.weight);
      const { tensor } = linear.weight;
      emit(
        tensor,
        smoothWeight(
          data,
          linear.inFeatures,
          smoothing.inputs.get(linear.module) ?? null,
          smoothing.outputs.get(linear.module) ?? null,
        ),
        shape,
        tensor,
      );
    }
    if (source.kind === 'linear' && source.linear.bias !== null && !targets.quantized.has(source.linear.module)) {
      const { tensor } = source.linear.bias;
      emit(tensor, dividedBias(checkpoint, source.linear, smoothing), checkpoint.shape(tensor), tensor);
    }
  }
  for (const linear of quantizedLinears(layer, targets)) {
    if (linear.bias === null) continue;
    const values = dividedBias(checkpoint, linear, smoothing);
    emit(`${linear.module}.bias`, values, [values.length], linear.bias.tensor);
  }
  return [...out.values()];
}

function quantizedLinears(layer: LayerPlan, targets: Targets): Linear[] {
  const { feedForward } = layer;
  const experts =
    feedForward.kind === 'moe' ? feedForward.experts.flatMap(({ gate, up, down }) => [gate, up, down]) : [];
  return [...[...linearsByTap(layer).values()].flat(), ...experts].filter(({ module }) =>
    targets.quantized.has(module),
  );
}

function dividedBias(checkpoint: Checkpoint, linear: Linear, smoothing: Smoothing): Float32Array {
  const scales = smoothing.outputs.get(linear.module);
  return readVector(checkpoint, linear.bias!).map((value, i) => (scales === undefined ? value : value / scales[i]!));
}
