import { followDrift } from '../awq/drift.js';
import { prepareGram } from '../awq/quantize-weight.js';
import { rowsPerLinear, scaleLosses, type InputStatistics } from '../awq/scale-search.js';
import { shrink, smoothGram } from '../awq/statistics.js';
import { loadExpert } from '../runtime/expert-runner.js';
import { openRowStore } from '../runtime/row-store.js';
import { overriddenReader } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import { quantizeTarget, type TargetResult } from './drift-experts.js';
import type { DriftJobs } from './drift-jobs.js';
import { sampleOfExpert, sketchRows } from './expert-inputs.js';
import { moeOf, NO_STATISTICS } from './forward-lane.js';
import { noEnergy } from './language-sample.js';
import type { LinearResult } from './quantize-jobs.js';
import { addLosses, effectiveWeight, schemeOf, transferOf, weightOf, type QuantizeLane } from './quantize-lane.js';
import { addTo, routedRows, type RoutedRows } from './routed-rows.js';
import { GRAM_SEARCH_WIDTH, KEPT_GRAM_BYTES } from './search-limits.js';

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
      const sum = await inputSum(lane, job.layer, e, rows);
      const room = model.scratch.floats('gate-gram', width * width);
      statistics = { kind: 'gram', gram: shrink(sum, tokens, job.layerGram, settings.shrinkage, room)! };
      if (keepsGrams) drifted.set(e, { inputSum: sum, gates: [] });
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

export async function quantizeGates(lane: QuantizeLane, job: DriftJobs['quantizeGates']['job']): Promise<Handled> {
  const { model, settings, drifted } = lane;
  const moe = moeOf(model.plan, job.layer);
  const width = model.plan.hiddenSize;
  const input = openRowStore(job.expertsInput);
  const accumulator = openRowStore(job.accumulator);
  const energy = noEnergy(job.sample.languages.length);
  const experts: { expert: number; linears: LinearResult[] }[] = [];
  for (const e of job.experts) {
    const rows = routedRows(input, moe.topK, e, job);
    const tokens = rows.tokens.length;
    const sum = drifted.get(e)?.inputSum ?? (await inputSum(lane, job.layer, e, rows));
    const gram = shrink(sum, tokens, job.layerGram, settings.shrinkage, sum);
    if (gram !== null && job.scales !== null) smoothGram(gram, job.scales, gram);
    const prepared = gram === null ? null : await prepareGram(gram, width, settings.rounding);
    const measured = { sampled: sampleOfExpert(input, moe, e, job), energy };
    const gates: TargetResult[] = [];
    for (const linear of [moe.experts[e]!.gate, moe.experts[e]!.up]) {
      const weight = weightOf(lane, linear);
      const target = await followDrift(weight, job.drift, width);
      gates.push(await quantizeTarget(lane, linear, weight, target, prepared, job.scales, measured));
    }
    drifted.set(e, { inputSum: null, gates });
    const reader = overriddenReader(model.reader, effectiveGates(gates, job.scales));
    await loadExpert(moe, e, reader, model).run(rows, NO_STATISTICS, { sum: addTo(accumulator, rows) });
    experts.push({ expert: e, linears: gates.map(({ result }) => result) });
  }
  input.close();
  accumulator.close();
  return { result: { experts, energy }, transfer: transferOf(experts.flatMap(({ linears }) => linears)) };
}

/** What gate and up compute with once they are quantized, by the weights that they replace. */
export function effectiveGates(
  gates: readonly TargetResult[],
  scales: Float32Array | null,
): Parameters<typeof overriddenReader>[1] {
  return new Map(
    gates.map(({ quantized, linear }) => {
      const { key, data, shape } = effectiveWeight(linear, quantized, scales, null);
      return [key, { data, shape }] as const;
    }),
  );
}

async function inputSum({ model }: QuantizeLane, layer: number, e: number, rows: RoutedRows): Promise<Float32Array> {
  const expert = loadExpert(moeOf(model.plan, layer), e, model.reader, model);
  return (await expert.run(rows, { input: true, inner: false }, {})).input!.gram;
}
