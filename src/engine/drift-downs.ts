import { repayResidual } from '../awq/drift.js';
import { prepareGram } from '../awq/quantize-weight.js';
import type { QuantizedLinear } from '../awq/scheme.js';
import { shrink } from '../awq/statistics.js';
import type { Linear, MoePlan } from '../model/plan.js';
import { loadExpert } from '../runtime/expert-runner.js';
import { gemm } from '../runtime/matrix.js';
import { openRowStore, type RowStore } from '../runtime/row-store.js';
import { overriddenReader } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import { quantizeTarget } from './drift-experts.js';
import { effectiveGates } from './drift-gates.js';
import type { DriftJobs } from './drift-jobs.js';
import { moeOf } from './forward-lane.js';
import type { LinearResult } from './quantize-jobs.js';
import { effectiveWeight, transferOf, weightOf, type QuantizeLane } from './quantize-lane.js';
import { forcedRows, routedRows, scaleRows, type RoutedRows } from './routed-rows.js';

export async function quantizeDowns(lane: QuantizeLane, job: DriftJobs['quantizeDowns']['job']): Promise<Handled> {
  const { model, settings, drifted } = lane;
  const moe = moeOf(model.plan, job.layer);
  const scale = model.plan.layers[job.layer]!.residualScale;
  const input = openRowStore(job.expertsInput);
  const residuals = openRowStore(job.residual);
  const accumulator = openRowStore(job.accumulator);
  const weights = new Float32Array(job.routing.weights);
  const forced = settings.shrinkage > 0 && job.forced.length > 0 ? forcedRows(input, job.forced) : null;
  const results: { expert: number; tokens: number; ownShare: number; down: LinearResult }[] = [];
  for (const e of job.experts) {
    const { down } = moe.experts[e]!;
    const { inFeatures } = down;
    const reader = overriddenReader(model.reader, effectiveGates(drifted.get(e)!.gates, job.scales));
    const expert = loadExpert(moe, e, reader, model);
    const rows = routedRows(input, moe.topK, e, job);
    const tokens = rows.tokens.length;
    // What down reads, kept for what it puts out once it is quantized.
    const inner = model.scratch.floats('drift.inner', tokens * inFeatures);
    const { inner: own, cross } = await expert.run(
      rows,
      { input: false, inner: true },
      {
        owed: {
          read: (from, count, target) => readOwed(residuals, moe, scale, weights, rows, { from, count }, target),
          write: (from, _count, part) => inner.set(part, from * inFeatures),
        },
      },
    );
    const layerGram =
      forced === null ? null : (await expert.run(forced, { input: false, inner: true }, {})).inner!.gram;
    if (layerGram !== null) for (let i = 0; i < layerGram.length; i++) layerGram[i]! /= job.forced.length;
    const weight = weightOf(lane, down);
    const target = tokens === 0 ? weight : await repaid(weight, own!.gram, cross!, tokens, inFeatures);
    const gram = shrink(own!.gram, tokens, layerGram, settings.shrinkage, own!.gram);
    const prepared = gram === null ? null : await prepareGram(gram, inFeatures, settings.rounding);
    const { quantized, result } = await quantizeTarget(lane, down, weight, target, prepared, null, null);
    const bias = down.bias === null ? null : model.reader.vector(down.bias);
    await putOut(lane, { down, quantized, bias, moe, rows, inner }, accumulator);
    const ownShare = tokens === 0 ? 0 : tokens / (tokens + settings.shrinkage);
    results.push({ expert: e, tokens, ownShare, down: result });
    drifted.delete(e);
  }
  drifted.clear();
  for (const store of [input, residuals, accumulator]) store.close();
  return { result: results, transfer: transferOf(results.map(({ down }) => down)) };
}

async function repaid(
  weight: Float32Array,
  innerSum: Float32Array,
  crossSum: Float32Array,
  tokens: number,
  inFeatures: number,
): Promise<Float32Array> {
  const mean = innerSum.map((value) => value / tokens);
  for (let i = 0; i < crossSum.length; i++) crossSum[i]! /= tokens;
  return repayResidual(weight, { gram: mean, inFeatures, tokens }, crossSum);
}

/** An expert's share of what the stream lacks: the chosen ones divide it by their weights, which need not sum to one. */
function readOwed(
  residuals: RowStore,
  { topK, weightOn }: MoePlan,
  scale: number,
  weights: Float32Array,
  { tokens }: RoutedRows,
  { from, count }: { readonly from: number; readonly count: number },
  target: Float32Array,
): void {
  const part = tokens.subarray(from, from + count);
  residuals.gather(part, target);
  const factors = Float32Array.from(part, (token) => {
    let total = topK;
    if (weightOn === 'output') {
      total = 0;
      for (let k = token * topK; k < (token + 1) * topK; k++) total += weights[k]!;
    }
    return 1 / (Math.max(total, 1e-6) * scale);
  });
  scaleRows(target, residuals.width, factors);
}

interface QuantizedDown {
  readonly down: Linear;
  readonly quantized: QuantizedLinear;
  readonly bias: Float32Array | null;
  readonly moe: MoePlan;
  readonly rows: RoutedRows;
  /** Its inputs, [tokens × intermediate]; weighted in place. */
  readonly inner: Float32Array;
}

/** Rows put out at once. */
const PART_ROWS = 1024;

async function putOut(
  { model }: QuantizeLane,
  { down, quantized, bias, moe, rows, inner }: QuantizedDown,
  accumulator: RowStore,
): Promise<void> {
  const { inFeatures, outFeatures } = down;
  const { data } = effectiveWeight(down, quantized, null, null);
  const { tokens, routing } = rows;
  for (let from = 0; from < tokens.length; from += PART_ROWS) {
    const count = Math.min(PART_ROWS, tokens.length - from);
    const part = tokens.subarray(from, from + count);
    const out = model.scratch.floats('expert.y', count * outFeatures);
    accumulator.gather(part, out);
    const shape = { m: count, n: outFeatures, k: inFeatures };
    const own = inner.subarray(from * inFeatures, (from + count) * inFeatures);
    const factors = moe.weightOn === 'output' ? routing.subarray(from, from + count) : null;
    if (factors !== null) scaleRows(own, inFeatures, factors);
    if (bias !== null) addBias(out, bias, factors);
    await gemm(own, data, shape, { transB: true, addend: out, out });
    accumulator.scatter(part, out);
  }
}

function addBias(rows: Float32Array, bias: Float32Array, factors: Float32Array | null): void {
  for (let at = 0, row = 0; at < rows.length; row++) {
    const factor = factors === null ? 1 : factors[row]!;
    for (let i = 0; i < bias.length; i++, at++) rows[at]! += factor * bias[i]!;
  }
}
