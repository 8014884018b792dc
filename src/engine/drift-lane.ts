import { followDrift, repayResidual } from '../awq/drift.js';
import { addOutputErrors } from '../awq/output-error.js';
import { prepareGram, quantizeWeight, type PreparedGram } from '../awq/quantize-weight.js';
import { rowsPerLinear, scaleLosses, type InputStatistics } from '../awq/scale-search.js';
import type { QuantizedLinear } from '../awq/scheme.js';
import { shrink, smoothGram } from '../awq/statistics.js';
import type { Linear, MoePlan } from '../model/plan.js';
import { loadExpert } from '../runtime/expert-runner.js';
import { gemm } from '../runtime/matrix.js';
import { openRowStore, type RowStore } from '../runtime/row-store.js';
import { overriddenReader } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import type { DriftJobs, FollowerInput } from './drift-jobs.js';
import { moeOf, NO_STATISTICS } from './forward-lane.js';
import { noEnergy, type LanguageEnergy } from './language-sample.js';
import { outputFormat } from './output-format.js';
import type { LinearResult } from './quantize-jobs.js';
import { addTo, forcedRows, gramOfRows, routedRows, scaleRows, weightedRows, type RoutedRows } from './routed-rows.js';
import { sampleOfExpert, sketchRows } from './expert-inputs.js';
import { addLosses, effectiveWeight, schemeOf, transferOf, weightOf, type QuantizeLane } from './quantize-lane.js';
import { GRAM_SEARCH_WIDTH } from './search-limits.js';
import { smoothWeight } from './smooth-weight.js';

/**
 * The inputs of an expert as its statistics take them. A token's share in the loss is the square of what its output is
 * multiplied by, so its row is scaled by the routing weight, times top-k to keep a token's mean share at one.
 */
interface WeightedInput {
  /** As the expert's graph takes them. */
  readonly rows: RoutedRows;
  /** As gate and up see them, times their shares. */
  readonly weighted: RoutedRows;
  readonly shares: Float32Array;
}

function weightedInput(input: RowStore, moe: MoePlan, expert: number, from: FollowerInput): WeightedInput {
  const rows = routedRows(input, moe.topK, expert, from);
  const { routing } = rows;
  if (moe.weightOn === 'input') {
    return { rows, weighted: weightedRows(rows, routing), shares: new Float32Array(routing.length).fill(1) };
  }
  const shares = routing.map((weight) => weight * moe.topK);
  return { rows, weighted: weightedRows(rows, shares), shares };
}

export async function searchGates(lane: QuantizeLane, job: DriftJobs['searchGates']['job']): Promise<Handled> {
  const { model, settings } = lane;
  const moe = moeOf(model.plan, job.layer);
  const width = model.plan.hiddenSize;
  const input = openRowStore(job.expertsInput);
  const losses = new Float64Array(job.candidates.length);
  for (const e of job.experts) {
    const { weighted } = weightedInput(input, moe, e, job);
    const tokens = weighted.tokens.length;
    if (tokens === 0) continue;
    let statistics: InputStatistics;
    if (width <= GRAM_SEARCH_WIDTH) {
      const sum = await gramOfRows(weighted, tokens, width, model.scratch);
      statistics = { kind: 'gram', gram: shrink(sum, tokens, job.layerGram, settings.shrinkage)! };
    } else {
      const sketch = sketchRows(weighted, 1);
      statistics = { kind: 'sketch', sketch, rows: sketch.length / width };
    }
    const { gate, up } = moe.experts[e]!;
    for (const linear of [gate, up]) {
      const weight = weightOf(lane, linear);
      const judged = rowsPerLinear(linear.outFeatures, 2 * moe.experts.length, settings.search.rowBudget);
      const { outFeatures, inFeatures } = linear;
      const searched = { weight, outFeatures, inFeatures, statistics, lossWeight: tokens, rows: judged };
      addLosses(
        losses,
        await scaleLosses(job.candidates, searched, schemeOf(lane, linear), settings.search, settings.scaleDtype),
      );
    }
  }
  input.close();
  return { result: losses };
}

/** What the lane keeps of an expert between its gates and its down. */
export interface DriftedExpert {
  /** Inputs of down on the follower's tokens, [tokens × intermediate]. */
  readonly rows: Float32Array;
  /** Mean ŷŷᵀ over the forced sample; null when κ is 0. */
  readonly forcedGram: Float32Array | null;
}

export async function quantizeGates(lane: QuantizeLane, job: DriftJobs['quantizeGates']['job']): Promise<Handled> {
  const { model, settings, drifted } = lane;
  const moe = moeOf(model.plan, job.layer);
  const width = model.plan.hiddenSize;
  const input = openRowStore(job.expertsInput);
  const accumulator = openRowStore(job.accumulator);
  const forced = settings.shrinkage > 0 && job.forced.length > 0 ? forcedRows(input, job.forced) : null;
  const energy = noEnergy(job.sample.languages.length);
  const experts: { expert: number; linears: LinearResult[] }[] = [];
  drifted.clear();
  for (const e of job.experts) {
    const plan = moe.experts[e]!;
    const { rows, weighted } = weightedInput(input, moe, e, job);
    const tokens = rows.tokens.length;
    const sum = await gramOfRows(weighted, tokens, width, model.scratch);
    const gram = shrink(sum, tokens, job.layerGram, settings.shrinkage);
    if (gram !== null && job.scales !== null) smoothGram(gram, job.scales, gram);
    const prepared = gram === null ? null : await prepareGram(gram, width, settings.rounding);
    const measured = { sampled: sampleOfExpert(input, moe, e, job), energy };
    const results: TargetResult[] = [];
    for (const linear of [plan.gate, plan.up]) {
      const weight = weightOf(lane, linear);
      const target = await followDrift(weight, job.drift, width);
      results.push(await quantizeTarget(lane, linear, weight, target, prepared, job.scales, measured));
    }
    const overrides = new Map(
      results.map(({ quantized, linear }) => {
        const { key, data, shape } = effectiveWeight(linear, quantized, job.scales, null);
        return [key, { data, shape }] as const;
      }),
    );
    const expert = loadExpert(moe, e, overriddenReader(model.reader, overrides), model);
    const inner = new Float32Array(tokens * plan.down.inFeatures);
    await expert.run(rows, NO_STATISTICS, {
      sum: addTo(accumulator, rows),
      inner: (part, from) => inner.set(part, from * plan.down.inFeatures),
    });
    const forcedSums = forced === null ? null : (await expert.run(forced, { input: false, inner: true }, {})).inner;
    const forcedGram = forcedSums?.gram.map((value) => value / job.forced.length) ?? null;
    drifted.set(e, { rows: inner, forcedGram });
    experts.push({ expert: e, linears: results.map(({ result }) => result) });
  }
  input.close();
  accumulator.close();
  return { result: { experts, energy }, transfer: transferOf(experts.flatMap(({ linears }) => linears)) };
}

interface TargetResult {
  readonly linear: Linear;
  readonly quantized: QuantizedLinear;
  readonly result: LinearResult;
}

/** Quantizes towards a target instead of the stored weight; errors per language are told against what is stored. */
async function quantizeTarget(
  lane: QuantizeLane,
  linear: Linear,
  stored: Float32Array,
  target: Float32Array,
  prepared: PreparedGram | null,
  inputScales: Float32Array | null,
  measure: { readonly sampled: Parameters<typeof addOutputErrors>[4]; readonly energy: LanguageEnergy } | null,
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
    await addOutputErrors(
      stored,
      quantized,
      inputScales,
      null,
      measure.sampled,
      measure.energy.signal,
      measure.energy.error,
    );
  }
  const tensors = outputFormat(lane.settings.format).pack(module, quantized);
  return { linear, quantized, result: { module, tensors, loss, relativeError, effective: null } };
}

export async function quantizeDowns(lane: QuantizeLane, job: DriftJobs['quantizeDowns']['job']): Promise<Handled> {
  const { model, settings, drifted } = lane;
  const moe = moeOf(model.plan, job.layer);
  const scale = model.plan.layers[job.layer]!.residualScale;
  const input = openRowStore(job.expertsInput);
  const residuals = openRowStore(job.residual);
  const accumulator = openRowStore(job.accumulator);
  const weights = new Float32Array(job.routing.weights);
  const results: { expert: number; tokens: number; ownShare: number; down: LinearResult }[] = [];
  for (const e of job.experts) {
    const { down } = moe.experts[e]!;
    const { rows, forcedGram } = drifted.get(e)!;
    const { rows: routed, shares } = weightedInput(input, moe, e, job);
    const tokens = routed.tokens.length;
    const inner = rows.slice();
    scaleRows(inner, down.inFeatures, shares);
    const square = { m: down.inFeatures, n: down.inFeatures, k: tokens };
    const sum = await gemm(inner, inner, square, { transA: true });
    const weight = weightOf(lane, down);
    const target = tokens === 0 ? weight : await repaid();
    const gram = shrink(sum, tokens, forcedGram, settings.shrinkage);
    const prepared = gram === null ? null : await prepareGram(gram, down.inFeatures, settings.rounding);
    const { quantized, result } = await quantizeTarget(lane, down, weight, target, prepared, null, null);
    if (tokens > 0) await putOut(quantized);
    const ownShare = tokens === 0 ? 0 : tokens / (tokens + settings.shrinkage);
    results.push({ expert: e, tokens, ownShare, down: result });

    async function repaid(): Promise<Float32Array> {
      // The chosen experts share the residual by their weights, which need not add up to one.
      const owed = new Float32Array(tokens * residuals.width);
      residuals.gather(routed.tokens, owed);
      routed.tokens.forEach((token, i) => {
        const total = moe.weightOn === 'output' ? weightSum(weights, token, moe.topK) : moe.topK;
        const factor = shares[i]! / (Math.max(total, 1e-6) * scale);
        for (let j = i * residuals.width; j < (i + 1) * residuals.width; j++) owed[j]! *= factor;
      });
      const shape = { m: down.outFeatures, n: down.inFeatures, k: tokens };
      const product = await gemm(owed, inner, shape, { transA: true, alpha: 1 / tokens });
      const mean = sum.map((value) => value / tokens);
      return repayResidual(weight, { gram: mean, inFeatures: down.inFeatures, tokens }, product);
    }

    async function putOut(written: QuantizedLinear): Promise<void> {
      const { data } = effectiveWeight(down, written, null, null);
      const out = new Float32Array(tokens * down.outFeatures);
      accumulator.gather(routed.tokens, out);
      const factored = rows.slice();
      if (moe.weightOn === 'output') scaleRows(factored, down.inFeatures, routed.routing);
      const product = { m: tokens, n: down.outFeatures, k: down.inFeatures };
      await gemm(factored, data, product, { transB: true, addend: out, out });
      accumulator.scatter(routed.tokens, out);
    }
  }
  drifted.clear();
  for (const store of [input, residuals, accumulator]) store.close();
  return { result: results, transfer: transferOf(results.map(({ down }) => down)) };
}

function weightSum(weights: Float32Array, token: number, topK: number): number {
  let sum = 0;
  for (let k = token * topK; k < (token + 1) * topK; k++) sum += weights[k]!;
  return sum;
}
