import { addOutputErrors } from '../awq/output-error.js';
import { quantizeWeight, type PreparedGram } from '../awq/quantize-weight.js';
import type { QuantizedLinear } from '../awq/scheme.js';
import type { Linear } from '../model/plan.js';
import type { LanguageEnergy } from './language-sample.js';
import type { LinearResult, Put } from './quantize-jobs.js';
import { putLinear, schemeOf, type QuantizeLane } from './quantize-lane.js';
import { smoothWeight } from './smooth-weight.js';

export interface TargetResult {
  readonly linear: Linear;
  readonly quantized: QuantizedLinear;
  readonly result: LinearResult;
}

/** Quantizes towards a target instead of the stored weight; errors per language are told against what is stored. */
export async function quantizeTarget(
  lane: QuantizeLane,
  linear: Linear,
  stored: Float32Array,
  target: Float32Array,
  prepared: PreparedGram | null,
  inputScales: Float32Array | null,
  measure: { readonly sampled: Parameters<typeof addOutputErrors>[4]; readonly energy: LanguageEnergy } | null,
  put: Put,
): Promise<TargetResult> {
  const { outFeatures, inFeatures, module } = linear;
  const { quantized, loss, relativeError } = await quantizeWeight({
    weight: smoothWeight(target, inFeatures, inputScales, null),
    outFeatures,
    inFeatures,
    prepared,
    scheme: schemeOf(lane, linear),
    settings: lane.settings.rounding,
    scaleDtype: lane.settings.scaleDtype,
  });
  if (measure !== null) {
    const { signal, error } = measure.energy;
    const room = lane.model.scratch.floats('delta', stored.length);
    await addOutputErrors(stored, quantized, inputScales, null, measure.sampled, signal, error, room);
  }
  putLinear(lane, module, quantized, put);
  return { linear, quantized, result: { module, loss, relativeError, effective: null } };
}
