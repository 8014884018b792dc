import { followDrift, repayResidual } from '../awq/drift.js';
import { addOutputErrors } from '../awq/output-error.js';
import { prepareGram, quantizeWeight, type PreparedGram } from '../awq/quantize-weight.js';
import { rowsPerLinear, scaleLosses, type InputStatistics } from '../awq/scale-search.js';
import type { QuantizedLinear } from '../awq/scheme.js';
import { shrink, smoothGram } from '../awq/statistics.js';
import type { Linear, MoePlan } from '../model/plan.js';
import { loadExpert } from '../runtime/layer-runner.js';
import { gemm } from '../runtime/matrix.js';
import { openRowStore, type RowStore } from '../runtime/row-store.js';
import { overriddenReader, readLinear } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import type { DriftJobs, FollowerInput } from './drift-jobs.js';
import { gatherRouted, moeOf, scatterAdd, type RoutedTokens } from './forward-lane.js';
import { noEnergy, type LanguageEnergy } from './language-sample.js';
import { outputFormat } from './output-format.js';
import type { LinearResult } from './quantize-jobs.js';
import { sampleOfExpert, sketchRows } from './expert-inputs.js';
import { addLosses, effectiveWeight, schemeOf, transferOf, type QuantizeLane } from './quantize-lane.js';
import { smoothWeight } from './smooth-weight.js';

/**
 * The inputs of an expert as its statistics take them. A token's share in the loss is the square of what its output is
 * multiplied by, so its row is scaled by the routing weight, times top-k to keep a token's mean share at one.
 */
interface WeightedInput {
  readonly routed: RoutedTokens;
  /** Inputs as gate and up see them, [tokens × hidden]. */
  readonly x: Float32Array;
  readonly shares: Float32Array;
}

function weightedInput(
  input: RowStore,
  moe: MoePlan,
  expert: number,
  { routing, assignments }: FollowerInput,
): WeightedInput {
  const routed = gatherRouted(input, moe.topK, expert, routing, assignments);
  const onInput = moe.weightOn === 'input';
  const shares = onInput
    ? new Float32Array(routed.routing.length).fill(1)
    : routed.routing.map((weight) => weight * moe.topK);
  return { routed, x: onInput ? scaleRows(routed.x, routed.routing) : routed.x, shares };
}

function scaleRows(rows: Float32Array, factors: Float32Array): Float32Array {
  const width = rows.length / Math.max(1, factors.length);
  const scaled = new Float32Array(rows.length);
  for (let row = 0, at = 0; row < factors.length; row++) {
    for (let i = 0; i < width; i++, at++) scaled[at] = rows[at]! * factors[row]!;
  }
  return scaled;
}

function gramOf(rows: Float32Array, width: number): Promise<Float32Array> {
  return gemm(rows, rows, { m: width, n: width, k: rows.length / width }, { transA: true });
}

/** Up to this width a Gram is the cheaper statistic for the search; beyond it, rows of the input are. */
const GRAM_SEARCH_WIDTH = 512;

export async function searchGates(lane: QuantizeLane, job: DriftJobs['searchGates']['job']): Promise<Handled> {
  const { model, settings } = lane;
  const moe = moeOf(model.plan, job.layer);
  const width = model.plan.hiddenSize;
  const input = openRowStore(job.expertsInput);
  const losses = new Float64Array(job.candidates.length);
  for (const e of job.experts) {
    const { x, shares, routed } = weightedInput(input, moe, e, job);
    const tokens = routed.tokens.length;
    if (tokens === 0) continue;
    const rows = scaleRows(x, shares);
    let statistics: InputStatistics;
    if (width <= GRAM_SEARCH_WIDTH) {
      statistics = {
        kind: 'gram',
        gram: shrink(await gramOf(rows, width), tokens, job.layerGram, settings.shrinkage)!,
      };
    } else {
      const sketch = sketchRows(rows, width, 1);
      statistics = { kind: 'sketch', sketch, rows: sketch.length / width };
    }
    const { gate, up } = moe.experts[e]!;
    for (const linear of [gate, up]) {
      const { weight } = readLinear(model.reader, linear);
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
  const forced = new Float32Array(settings.shrinkage > 0 ? job.forced.length * width : 0);
  if (forced.length > 0) job.forced.forEach((token, i) => input.read(token, 1, forced, i * width));
  const energy = noEnergy(job.sample.languages.length);
  const experts: { expert: number; linears: LinearResult[] }[] = [];
  drifted.clear();
  for (const e of job.experts) {
    const plan = moe.experts[e]!;
    const { routed, x, shares } = weightedInput(input, moe, e, job);
    const tokens = routed.tokens.length;
    const sum = tokens === 0 ? new Float32Array(width * width) : await gramOf(scaleRows(x, shares), width);
    const gram = shrink(sum, tokens, job.layerGram, settings.shrinkage);
    if (gram !== null && job.scales !== null) smoothGram(gram, job.scales, gram);
    const prepared = gram === null ? null : await prepareGram(gram, width, settings.rounding);
    const measured = { sampled: sampleOfExpert(input, moe, e, job), energy };
    const results: TargetResult[] = [];
    for (const linear of [plan.gate, plan.up]) {
      const { weight } = readLinear(model.reader, linear);
      const target = await followDrift(weight, job.drift, width);
      results.push(await quantizeTarget(lane, linear, weight, target, prepared, job.scales, measured));
    }
    const overrides = new Map(
      results.map(({ quantized, linear }) => {
        const { key, data, shape } = effectiveWeight(linear, quantized, job.scales, null);
        return [key, { data, shape }] as const;
      }),
    );
    const expert = loadExpert(model.plan, moe, e, overriddenReader(model.reader, overrides), model.sessions);
    const run = await expert.run(routed.x, routed.routing, { input: false, inner: false, rows: true });
    scatterAdd(accumulator, routed.tokens, run.output);
    const forcedRun =
      forced.length === 0
        ? null
        : await expert.run(forced, new Float32Array(job.forced.length).fill(1), {
            input: false,
            inner: true,
            output: false,
          });
    const forcedGram = forcedRun?.inner?.gram.map((value) => value / job.forced.length) ?? null;
    drifted.set(e, { rows: run.rows!, forcedGram });
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
    const { routed, shares } = weightedInput(input, moe, e, job);
    const tokens = routed.tokens.length;
    const inner = scaleRows(rows, shares);
    const sum = tokens === 0 ? new Float32Array(down.inFeatures ** 2) : await gramOf(inner, down.inFeatures);
    const { weight } = readLinear(model.reader, down);
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
      routed.tokens.forEach((token, i) => {
        residuals.read(token, 1, owed, i * residuals.width);
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
      const out = await gemm(rows, data, { m: tokens, n: down.outFeatures, k: down.inFeatures }, { transB: true });
      scatterAdd(accumulator, routed.tokens, moe.weightOn === 'output' ? scaleRows(out, routed.routing) : out);
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
