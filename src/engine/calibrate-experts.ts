import { prepareGram } from '../awq/quantize-weight.js';
import { chooseScales, rowsPerLinear, scaleCandidates } from '../awq/scale-candidates.js';
import { scaleLosses, type InputStatistics } from '../awq/scale-search.js';
import {
  addWeightMagnitude,
  createWeightMagnitude,
  meanWeightMagnitude,
  shrink,
  smoothGram,
} from '../awq/statistics.js';
import type { ExpertPlan, MoePlan } from '../model/plan.js';
import { gramStride } from './gram-stride.js';
import { noEnergy } from './language-sample.js';
import { loadExpert, type LoadedExpert } from '../runtime/expert-runner.js';
import { openRowStore } from '../runtime/row-store.js';
import type { TapSums } from '../runtime/tap-sums.js';
import type { Handled } from '../runtime/workers.js';
import { moeOf } from './forward-lane.js';
import { addTo, forcedRows, routedRows, type RoutedRows } from './routed-rows.js';
import { DOWN_SEARCH_ROWS, GRAM_SEARCH_WIDTH, KEPT_GRAM_BYTES } from './search-limits.js';
import type { CalibrationJobs, ExpertResult, LinearResult, Put } from './quantize-jobs.js';
import { addLosses, quantizeLinear, schemeOf, weightOf, type QuantizeLane } from './quantize-lane.js';
import { sampleOfExpert, sketchRows } from './expert-inputs.js';

export async function calibrateExperts(
  lane: QuantizeLane,
  job: CalibrationJobs['calibrateExperts']['job'],
  put: Put,
): Promise<Handled> {
  const { model, settings } = lane;
  const moe = moeOf(model.plan, job.layer);
  const width = model.plan.hiddenSize;
  const input = openRowStore(job.expertsInput);
  const accumulator = job.accumulator === null ? null : openRowStore(job.accumulator);
  const keepsGrams = job.experts.length * width * width * 4 <= KEPT_GRAM_BYTES;
  const losses = new Float64Array(job.candidates.length);
  const forcedInput = forcedRows(input, job.sample);
  const results: ExpertResult[] = [];
  const downEdges = new Set(
    model.plan.layers[job.layer]!.edges.flatMap(({ tap, readers }) => (tap === 'expert-down' ? readers : [])),
  );
  lane.kept.clear();
  for (const e of job.experts) {
    const plan = moe.experts[e]!;
    const expert = loadExpert(moe, e, model.reader, model);
    const rows = routedRows(input, moe.topK, e, job);
    const tokens = rows.tokens.length;
    const isQuantized = lane.targets.quantized.has(plan.down.module);
    const own =
      tokens === 0 || (accumulator === null && !isQuantized)
        ? null
        : await expert.run(
            rows,
            { input: isQuantized && keepsGrams, inner: isQuantized, stride: strideOf(lane, plan, tokens) },
            accumulator === null ? {} : { sum: addTo(accumulator, rows) },
          );
    if (!isQuantized) continue;
    const forced =
      settings.shrinkage > 0 && job.sample.length > 0
        ? (await expert.run(forcedInput, { input: false, inner: true }, {})).inner
        : null;
    const inner = shrunkSums(own?.inner ?? null, tokens, forced, job.sample.length, settings.shrinkage);
    const down = await calibrateDown(lane, plan, downEdges.has(plan.down), inner, put);
    if (job.candidates.length > 0) {
      const sums = own?.input ?? null;
      const statistics = await gateUpStatistics(lane, { moe, expert, rows, input: sums }, job.layerGram, forcedInput);
      if (statistics !== null) addLosses(losses, await gateUpLosses(lane, plan, statistics, tokens, job));
    }
    lane.kept.set(e, { downScales: down.scales, inputSum: own?.input?.gram ?? null });
    const ownShare = tokens === 0 ? 0 : tokens / (tokens + settings.shrinkage);
    results.push({ expert: e, tokens, ownShare, ...down.report, upScales: down.scales, linears: [down.result] });
  }
  input.close();
  accumulator?.close();
  return { result: { losses, experts: results } };
}

function strideOf({ settings }: QuantizeLane, { gate, down }: ExpertPlan, tokens: number): number {
  return gramStride(settings.rounding, tokens, Math.max(gate.inFeatures, down.inFeatures));
}

interface MeanStatistics {
  readonly gram: Float32Array;
  readonly absolute: Float32Array;
}

function shrunkSums(
  own: TapSums | null,
  tokens: number,
  forced: TapSums | null,
  sample: number,
  kappa: number,
): MeanStatistics | null {
  const layer =
    forced === null
      ? null
      : { gram: forced.gram.map((value) => value / sample), absolute: forced.absolute.map((value) => value / sample) };
  const size = own ?? forced;
  if (size === null) return null;
  const sums = own ?? { gram: new Float32Array(size.gram.length), absolute: new Float32Array(size.absolute.length) };
  const gram = shrink(sums.gram, tokens, layer?.gram ?? null, kappa, sums.gram);
  const absolute = shrink(sums.absolute, tokens, layer?.absolute ?? null, kappa, sums.absolute);
  return gram === null || absolute === null ? null : { gram, absolute };
}

/** Searches the up → down edge of one expert and quantizes down. */
async function calibrateDown(
  lane: QuantizeLane,
  { down }: ExpertPlan,
  hasEdge: boolean,
  statistics: MeanStatistics | null,
  put: Put,
): Promise<{
  scales: Float32Array | null;
  report: Pick<ExpertResult, 'downRatio' | 'downLossBefore' | 'downLoss'>;
  result: LinearResult;
}> {
  const { settings } = lane;
  if (statistics === null || !hasEdge) {
    const prepared =
      statistics === null ? null : await prepareGram(statistics.gram, down.inFeatures, settings.rounding);
    return {
      scales: null,
      report: { downRatio: null, downLossBefore: 0, downLoss: 0 },
      result: await quantizeLinear(lane, down, prepared, null, null, put),
    };
  }
  const weight = weightOf(lane, down);
  const scheme = schemeOf(lane, down);
  const magnitudeOf = createWeightMagnitude(down.inFeatures);
  addWeightMagnitude(magnitudeOf, weight, down.outFeatures, down.inFeatures, scheme);
  const candidates = scaleCandidates(statistics.absolute, meanWeightMagnitude(magnitudeOf), settings.search);
  const chosen = chooseScales(
    candidates,
    await scaleLosses(
      candidates,
      {
        weight,
        outFeatures: down.outFeatures,
        inFeatures: down.inFeatures,
        statistics: { kind: 'gram', gram: statistics.gram },
        lossWeight: 1,
        rows: Math.min(down.outFeatures, DOWN_SEARCH_ROWS),
      },
      scheme,
      settings.search,
      settings.scaleDtype,
    ),
  );
  const scales = chosen.ratio === null ? null : chosen.scales;
  const gram = scales === null ? statistics.gram : smoothGram(statistics.gram, scales, statistics.gram);
  const prepared = await prepareGram(gram, down.inFeatures, settings.rounding);
  return {
    scales,
    report: { downRatio: chosen.ratio, downLossBefore: chosen.lossBefore, downLoss: chosen.loss },
    result: await quantizeLinear(lane, down, prepared, scales, null, put),
  };
}

interface ExpertInput {
  readonly moe: MoePlan;
  readonly expert: LoadedExpert;
  readonly rows: RoutedRows;
  /** Sums over the rows, where they were kept. */
  readonly input: TapSums | null;
}

/** The inputs of gate and up as the search needs them: the shrunk Gram when narrow, else rows that stand for it. */
async function gateUpStatistics(
  { model, settings }: QuantizeLane,
  { moe, expert, rows, input }: ExpertInput,
  layerGram: Float32Array,
  forced: RoutedRows,
): Promise<InputStatistics | null> {
  const { width } = rows;
  const tokens = rows.tokens.length;
  const kappa = settings.shrinkage;
  if (width <= GRAM_SEARCH_WIDTH) {
    const stride = gramStride(settings.rounding, tokens, width);
    const sum = input ?? (await expert.run(rows, { input: true, inner: false, stride }, {})).input!;
    const gram = shrink(sum.gram, tokens, layerGram, kappa, model.scratch.floats('gate-gram', width * width));
    return gram === null ? null : { kind: 'gram', gram };
  }
  if (tokens === 0 && kappa === 0) return null;
  const ownShare = kappa === Infinity ? 0 : tokens / (tokens + kappa);
  const parts = [sketchRows(rows, moe.weightOn, ownShare), sketchRows(forced, moe.weightOn, 1 - ownShare)];
  const count = parts.reduce((sum, part) => sum + part.length, 0) / width;
  const sketch = new Float32Array(count * width);
  sketch.set(parts[0]!);
  sketch.set(parts[1]!, parts[0]!.length);
  return { kind: 'sketch', sketch, rows: count };
}

async function gateUpLosses(
  lane: QuantizeLane,
  { gate, up }: ExpertPlan,
  statistics: InputStatistics,
  tokens: number,
  job: CalibrationJobs['calibrateExperts']['job'],
): Promise<Float64Array> {
  const losses = new Float64Array(job.candidates.length);
  const experts = job.assignments.offsets.length - 1;
  for (const linear of [gate, up]) {
    const weight = weightOf(lane, linear);
    const rows = rowsPerLinear(linear.outFeatures, 2 * experts, lane.settings.search.rowBudget);
    const searched = {
      weight,
      outFeatures: linear.outFeatures,
      inFeatures: linear.inFeatures,
      statistics,
      lossWeight: tokens,
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
  return losses;
}

export async function quantizeExperts(
  lane: QuantizeLane,
  job: CalibrationJobs['quantizeExperts']['job'],
  put: Put,
): Promise<Handled> {
  const { model, settings, kept } = lane;
  const moe = moeOf(model.plan, job.layer);
  const input = openRowStore(job.expertsInput);
  const results: { expert: number; linears: LinearResult[] }[] = [];
  const energy = noEnergy(job.sample.languages.length);
  for (const e of job.experts) {
    const plan = moe.experts[e]!;
    if (!lane.targets.quantized.has(plan.gate.module)) continue;
    const { downScales, inputSum } = kept.get(e)!;
    let sum = inputSum;
    const tokens = job.assignments.offsets[e + 1]! - job.assignments.offsets[e]!;
    if (sum === null && tokens > 0) {
      const expert = loadExpert(moe, e, model.reader, model);
      const statistics = { input: true, inner: false, stride: strideOf(lane, plan, tokens) };
      const sums = await expert.run(routedRows(input, moe.topK, e, job), statistics, {});
      sum = sums.input!.gram;
    }
    sum ??= new Float32Array(job.layerGram.length);
    const gram = shrink(sum, tokens, job.layerGram, settings.shrinkage, sum);
    if (gram !== null && job.scales !== null) smoothGram(gram, job.scales, gram);
    const prepared = gram === null ? null : await prepareGram(gram, model.plan.hiddenSize, settings.rounding);
    const measure = { sampled: sampleOfExpert(input, moe, e, job), energy };
    const linears = [
      await quantizeLinear(lane, plan.gate, prepared, job.scales, null, put, { measure }),
      await quantizeLinear(lane, plan.up, prepared, job.scales, downScales, put, { measure }),
    ];
    results.push({ expert: e, linears });
  }
  input.close();
  kept.clear();
  return { result: { experts: results, energy } };
}
