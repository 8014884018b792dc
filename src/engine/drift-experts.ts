import { followDrift } from '../awq/drift.js';
import { prepareGram, type PreparedGram } from '../awq/quantize-weight.js';
import { rowsPerLinear } from '../awq/scale-candidates.js';
import { scaleLosses, type InputStatistics } from '../awq/scale-search.js';
import { shrink, smoothGram } from '../awq/statistics.js';
import { loadExpert, type LoadedExpert } from '../runtime/expert-runner.js';
import { openRowStore } from '../runtime/row-store.js';
import { overriddenReader } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import type { DriftJobs } from './drift-jobs.js';
import { quantizeTarget, type TargetResult } from './drift-target.js';
import { sampleOfExpert, sketchRows } from './expert-inputs.js';
import { moeOf } from './forward-lane.js';
import { noEnergy } from './language-sample.js';
import { putOut } from './put-out.js';
import { addLosses, effectiveWeight, schemeOf, weightOf, type QuantizeLane } from './quantize-lane.js';
import type { LinearResult, Put } from './quantize-jobs.js';
import { forcedRows, routedRows, type RoutedRows } from './routed-rows.js';
import { GRAM_SEARCH_WIDTH, KEPT_GRAM_BYTES } from './search-limits.js';

/** Losses of the candidates for gate and up on the follower's inputs, whose Grams the lane keeps where they fit. */
export async function searchGates(lane: QuantizeLane, job: DriftJobs['searchGates']['job']): Promise<Handled> {
  const { model, settings, drifted } = lane;
  const moe = moeOf(model.plan, job.layer);
  const width = model.plan.hiddenSize;
  const input = openRowStore(job.expertsInput);
  const losses = new Float64Array(job.candidates.length);
  const keepsGrams = job.experts.length * width * width * 4 <= KEPT_GRAM_BYTES;
  drifted.clear();
  for (const e of job.experts) {
    const rows = routedRows(input, moe.topK, e, job);
    const tokens = rows.tokens.length;
    if (tokens === 0) continue;
    let statistics: InputStatistics;
    if (width <= GRAM_SEARCH_WIDTH) {
      const sum = await inputSum(lane, job.layer, e, rows, keepsGrams);
      const room = model.scratch.floats('gate-gram', width * width);
      statistics = { kind: 'gram', gram: shrink(sum, tokens, job.layerGram, settings.shrinkage, room)! };
      if (keepsGrams) drifted.set(e, sum);
    } else {
      const sketch = sketchRows(rows, moe.weightOn, 1);
      statistics = { kind: 'sketch', sketch, rows: sketch.length / width };
    }
    const { gate, up } = moe.experts[e]!;
    for (const linear of [gate, up]) {
      const { outFeatures, inFeatures } = linear;
      const judged = rowsPerLinear(outFeatures, 2 * moe.experts.length, settings.search.rowBudget);
      const searched = {
        weight: weightOf(lane, linear),
        outFeatures,
        inFeatures,
        statistics,
        lossWeight: tokens,
        rows: judged,
      };
      addLosses(
        losses,
        await scaleLosses(job.candidates, searched, schemeOf(lane, linear), settings.search, settings.scaleDtype),
      );
    }
  }
  input.close();
  return { result: losses };
}

/**
 * Quantizes experts for the inputs they will get: gate and up towards what they did on x, down on what those two put out,
 * and adds what all three put out now.
 */
export async function quantizeFollowing(
  lane: QuantizeLane,
  job: DriftJobs['quantizeFollowing']['job'],
  put: Put,
): Promise<Handled> {
  const { model, settings, drifted } = lane;
  const moe = moeOf(model.plan, job.layer);
  const input = openRowStore(job.expertsInput);
  const accumulator = job.accumulator === null ? null : openRowStore(job.accumulator);
  const energy = noEnergy(job.sample.languages.length);
  const forced = settings.shrinkage > 0 && job.forced.length > 0 ? forcedRows(input, job.forced) : null;
  const experts: { expert: number; tokens: number; ownShare: number; linears: LinearResult[] }[] = [];
  for (const e of job.experts) {
    const { down } = moe.experts[e]!;
    const rows = routedRows(input, moe.topK, e, job);
    const tokens = rows.tokens.length;
    const measured = { sampled: sampleOfExpert(input, moe, e, job), energy };
    const gates = await quantizeGates(lane, job, e, rows, measured, put);
    const reader = overriddenReader(model.reader, effectiveGates(lane, gates, job.scales));
    const expert = loadExpert(moe, e, reader, model);
    const inner = accumulator === null ? null : model.scratch.floats('following.inner', tokens * down.inFeatures);
    const own = await expert.run(rows, STATISTICS_OF_DOWN, {
      grams: { inner: model.scratch.floats('following.gram', down.inFeatures ** 2) },
      ...(inner === null ? {} : { inner: (part, from) => inner.set(part, from * down.inFeatures) }),
    });
    const layer =
      forced === null
        ? null
        : await forcedGram(expert, forced, model.scratch.floats('forced.gram', down.inFeatures ** 2));
    const sum = own.inner!.gram;
    const gram = shrink(sum, tokens, layer, settings.shrinkage, sum);
    const prepared = gram === null ? null : await prepare(lane, gram, down.inFeatures);
    const weight = weightOf(lane, down);
    const { quantized, result } = await quantizeTarget(lane, down, weight, weight, prepared, null, null, put);
    if (accumulator !== null && inner !== null) {
      const room = model.scratch.floats('effective.down', weight.length);
      const { data } = effectiveWeight(down, quantized, null, null, room);
      await putOut(model, { down, data, moe, rows, inner }, accumulator);
    }
    const ownShare = tokens === 0 ? 0 : tokens / (tokens + settings.shrinkage);
    experts.push({ expert: e, tokens, ownShare, linears: [...gates.map((gate) => gate.result), result] });
  }
  drifted.clear();
  input.close();
  accumulator?.close();
  return { result: { experts, energy } };
}

const STATISTICS_OF_DOWN = { input: false, inner: true };

async function quantizeGates(
  lane: QuantizeLane,
  job: DriftJobs['quantizeFollowing']['job'],
  e: number,
  rows: RoutedRows,
  measured: Parameters<typeof quantizeTarget>[6],
  put: Put,
): Promise<TargetResult[]> {
  const { model, settings, drifted } = lane;
  const width = model.plan.hiddenSize;
  const sum = drifted.get(e) ?? (await inputSum(lane, job.layer, e, rows, false));
  const gram = shrink(sum, rows.tokens.length, job.layerGram, settings.shrinkage, sum);
  if (gram !== null && job.scales !== null) smoothGram(gram, job.scales, gram);
  const prepared = gram === null ? null : await prepare(lane, gram, width);
  const { gate, up } = moeOf(model.plan, job.layer).experts[e]!;
  const results: TargetResult[] = [];
  for (const linear of [gate, up]) {
    const weight = weightOf(lane, linear);
    const target = await followDrift(weight, job.drift, width, model.scratch.floats('target', weight.length));
    results.push(await quantizeTarget(lane, linear, weight, target, prepared, job.scales, measured, put));
  }
  return results;
}

/** What gate and up compute with once they are quantized, by the weights that they replace. */
function effectiveGates(
  { model }: QuantizeLane,
  gates: readonly TargetResult[],
  scales: Float32Array | null,
): Parameters<typeof overriddenReader>[1] {
  return new Map(
    gates.map(({ quantized, linear }) => {
      const room = model.scratch.floats(`effective.${linear.module.split('.').at(-1)}`, quantized.codes.length);
      const { key, data, shape } = effectiveWeight(linear, quantized, scales, null, room);
      return [key, { data, shape }] as const;
    }),
  );
}

/** @param keeps the sum outlives the next one */
async function inputSum(
  { model }: QuantizeLane,
  layer: number,
  e: number,
  rows: RoutedRows,
  keeps: boolean,
): Promise<Float32Array> {
  const expert = loadExpert(moeOf(model.plan, layer), e, model.reader, model);
  const grams = keeps ? {} : { input: model.scratch.floats('input.gram', rows.width ** 2) };
  return (await expert.run(rows, { input: true, inner: false }, { grams })).input!.gram;
}

/** Mean xxᵀ of down's inputs for tokens that the expert is made to see. */
async function forcedGram(expert: LoadedExpert, forced: RoutedRows, room: Float32Array): Promise<Float32Array> {
  const { gram } = (await expert.run(forced, STATISTICS_OF_DOWN, { grams: { inner: room } })).inner!;
  for (let i = 0; i < gram.length; i++) gram[i]! /= forced.tokens.length;
  return gram;
}

function prepare({ model, settings }: QuantizeLane, gram: Float32Array, width: number): Promise<PreparedGram> {
  return prepareGram(gram, width, settings.rounding, (length) => model.scratch.floats('factor', length));
}
