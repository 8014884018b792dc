import { withMappedEdges } from '../awq/mapped-edges.js';
import { outputFormat } from './output-format.js';
import { prepareGram, quantizeWeight, type PreparedGram } from '../awq/quantize-weight.js';
import { rowsPerLinear } from '../awq/scale-candidates.js';
import { scaleLosses, type InputStatistics } from '../awq/scale-search.js';
import { addWeightMagnitude, createWeightMagnitude, smoothGram } from '../awq/statistics.js';
import { chooseTargets, type Targets } from '../awq/targets.js';
import type { QuantizedLinear, Scheme } from '../awq/scheme.js';
import type { WeightOverride } from './jobs.js';
import { layerLinears } from '../model/linears.js';
import type { Linear } from '../model/plan.js';
import { noEnergy, type LanguageEnergy } from './language-sample.js';
import { followDrift, repayResidual } from '../awq/drift.js';
import { addOutputErrors, dequantize, type SampledRows } from '../awq/output-error.js';
import { gemm } from '../runtime/matrix.js';
import { readLinear, weightKey } from '../runtime/weights.js';
import { release, type Handled } from '../runtime/workers.js';
import type { LaneModel } from './forward-lane.js';
import { smoothWeight } from './smooth-weight.js';
import type { CalibrationJobs, LinearResult, OwedTarget, Put } from './quantize-jobs.js';
import type { QuantizeSettings } from './quantize-settings.js';

/** A lane that quantizes: the model, the settings, and what it keeps between the two passes over a layer's experts. */
export interface QuantizeLane {
  readonly model: LaneModel;
  readonly settings: QuantizeSettings;
  readonly targets: Targets;
  readonly kept: Map<number, CalibratedExpert>;
  /** Σ x̂x̂ᵀ of experts' inputs in the stream that follows. */
  readonly drifted: Map<number, Float32Array>;
}

interface CalibratedExpert {
  /** Divides up's rows; null when the edge is left alone. */
  readonly downScales: Float32Array | null;
  /** Σ xxᵀ of the routed inputs, where it fits the lane's memory. */
  readonly inputSum: Float32Array | null;
}

export function createQuantizeLane(model: LaneModel, settings: QuantizeSettings): QuantizeLane {
  const plan = withMappedEdges(model.plan, settings.mappings);
  return {
    model: { ...model, plan },
    settings,
    targets: chooseTargets(plan, settings),
    kept: new Map(),
    drifted: new Map(),
  };
}

export function findLinears(lane: QuantizeLane, layer: number, modules: readonly string[]): Linear[] {
  const byModule = new Map(layerLinears(lane.model.plan.layers[layer]!).map((linear) => [linear.module, linear]));
  return modules.map((module) => byModule.get(module)!);
}

export function schemeOf(lane: QuantizeLane, { module }: Linear): Scheme {
  return lane.targets.quantized.get(module) ?? lane.settings.scheme;
}

/** A Linear's weight [out, in], over the one that was read before. */
export function weightOf({ model }: QuantizeLane, linear: Linear): Float32Array {
  return readLinear(model.reader, linear, (length) => model.scratch.floats('weight', length));
}

export function magnitude(lane: QuantizeLane, job: CalibrationJobs['magnitude']['job']): Handled {
  const linears = findLinears(lane, job.layer, job.modules);
  const total = createWeightMagnitude(linears[0]!.inFeatures);
  for (const linear of linears) {
    const weight = weightOf(lane, linear);
    addWeightMagnitude(total, weight, linear.outFeatures, linear.inFeatures, schemeOf(lane, linear));
  }
  return { result: total };
}

export async function searchLinears(
  lane: QuantizeLane,
  job: CalibrationJobs['searchLinears']['job'],
): Promise<Handled> {
  const losses = new Float64Array(job.candidates.length);
  for (const linear of findLinears(lane, job.layer, job.modules)) {
    const weight = weightOf(lane, linear);
    const statistics: InputStatistics = { kind: 'gram', gram: job.gram };
    const rows = rowsPerLinear(linear.outFeatures, job.ofModules, lane.settings.search.rowBudget);
    const searched = {
      weight,
      outFeatures: linear.outFeatures,
      inFeatures: linear.inFeatures,
      statistics,
      lossWeight: 1,
      rows,
    };
    addLosses(
      losses,
      await scaleLosses(
        job.candidates,
        searched,
        schemeOf(lane, linear),
        lane.settings.search,
        lane.settings.scaleDtype,
      ),
    );
  }
  return { result: losses };
}

export async function quantizeLinears(
  lane: QuantizeLane,
  job: CalibrationJobs['quantizeLinears']['job'],
  put: Put,
): Promise<Handled> {
  const { towards, inputScales } = job;
  const linears = findLinears(lane, job.layer, job.modules);
  const repaid = towards.kind === 'owed' ? await repay(lane, linears, job.gram, towards) : null;
  const gram = inputScales === null ? job.gram : smoothGram(job.gram, inputScales, job.gram);
  const prepared = await prepareGram(gram, linears[0]!.inFeatures, lane.settings.rounding);
  const results: LinearResult[] = [];
  const energy = noEnergy(job.languages);
  const sampled = { rows: job.sampled.rows, groupOf: job.sampled.languageOf, groups: job.languages };
  for (const [i, linear] of linears.entries()) {
    const outputScales = job.outputScales[linear.module] ?? null;
    const target =
      towards.kind === 'drift'
        ? await followDrift(weightOf(lane, linear), towards.drift, linear.inFeatures)
        : (repaid?.[i] ?? null);
    results.push(
      await quantizeLinear(lane, linear, prepared, inputScales, outputScales, put, {
        measure: { sampled, energy },
        wantsEffective: job.effective,
        target,
      }),
    );
  }
  return { result: { linears: results, energy } };
}

/**
 * The weights [out, in] that repay what their outputs lack, by statistics that are not smoothed. What is owed goes as soon
 * as it is a weight's: a gigabyte behind wide attention, and factoring the Gram takes another one.
 */
async function repay(
  lane: QuantizeLane,
  linears: readonly Linear[],
  gram: Float32Array,
  { cross, owed, tokens }: OwedTarget,
): Promise<Float32Array[]> {
  const lacking: Float32Array[] = [];
  for (const linear of linears) {
    const shape = { m: linear.outFeatures, n: linear.inFeatures, k: linear.inFeatures };
    lacking.push(await gemm(weightOf(lane, linear), cross, shape, owed === null ? {} : { addend: owed }));
  }
  release([cross, owed]);
  const weights: Float32Array[] = [];
  for (const [i, linear] of linears.entries()) {
    const statistics = { gram, inFeatures: linear.inFeatures, tokens };
    weights.push(await repayResidual(weightOf(lane, linear), statistics, lacking[i]!));
    release([lacking[i]!]);
  }
  return weights;
}

export interface LinearOptions {
  /** Where the errors of sampled outputs are added up, against the stored weight. */
  readonly measure?: { readonly sampled: SampledRows; readonly energy: LanguageEnergy } | null;
  readonly wantsEffective?: boolean;
  /** Quantized towards in place of the stored weight; overwritten. */
  readonly target?: Float32Array | null;
}

/** Reads, smooths, quantizes and packs one Linear, and hands it over. */
export async function quantizeLinear(
  lane: QuantizeLane,
  linear: Linear,
  prepared: PreparedGram | null,
  inputScales: Float32Array | null,
  outputScales: Float32Array | null,
  put: Put,
  { measure = null, wantsEffective = false, target = null }: LinearOptions = {},
): Promise<LinearResult> {
  const { outFeatures, inFeatures, module } = linear;
  const original = weightOf(lane, linear);
  let weight = original;
  if (target !== null) {
    weight = target;
  } else if (measure !== null) {
    weight = lane.model.scratch.floats('smoothed', original.length);
    weight.set(original);
  }
  smoothWeight(weight, inFeatures, inputScales, outputScales);
  const { quantized, loss, relativeError } = await quantizeWeight({
    weight,
    outFeatures,
    inFeatures,
    prepared,
    scheme: schemeOf(lane, linear),
    settings: lane.settings.rounding,
    scaleDtype: lane.settings.scaleDtype,
  });
  if (measure !== null) {
    const { sampled, energy } = measure;
    const room = lane.model.scratch.floats('delta', original.length);
    await addOutputErrors(original, quantized, inputScales, outputScales, sampled, energy.signal, energy.error, room);
  }
  putLinear(lane, module, quantized, put);
  return {
    module,
    loss,
    relativeError,
    effective: wantsEffective ? effectiveWeight(linear, quantized, inputScales, outputScales) : null,
  };
}

export function addLosses(target: Float64Array, values: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += values[i]!;
}

/** Q[o, i] · outputScales[o] / inputScales[i]: the quantized Linear as it acts on the unsmoothed input, in `room`. */
export function effectiveWeight(
  { weight, outFeatures, inFeatures }: Linear,
  quantized: QuantizedLinear,
  inputScales: Float32Array | null,
  outputScales: Float32Array | null,
  room?: Float32Array,
): WeightOverride {
  const data = dequantize(quantized, room);
  const inverse = inputScales?.map((scale) => 1 / scale) ?? null;
  const back = outputScales?.map((scale) => 1 / scale) ?? null;
  return {
    key: weightKey(weight),
    data: smoothWeight(data, inFeatures, inverse, back),
    shape: [outFeatures, inFeatures],
  };
}

/** Packs a quantized Linear and hands it over; its bytes move to the orchestrating thread instead of being copied. */
export function putLinear({ settings }: QuantizeLane, module: string, quantized: QuantizedLinear, put: Put): void {
  const tensors = outputFormat(settings.format).pack(module, quantized);
  put(tensors, [...new Set(tensors.map(({ bytes }) => bytes.buffer as ArrayBuffer))]);
}
