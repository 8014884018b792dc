import type { Checkpoint } from '../checkpoint/open.js';
import { headGraph } from '../graph/head.js';
import type { ModelPlan, MoePlan } from '../model/plan.js';
import { loadExpert, loadLayer } from '../runtime/layer-runner.js';
import { openRowStore } from '../runtime/row-store.js';
import type { SessionCache } from '../runtime/sessions.js';
import { loadBindings, overriddenReader, readWeight, type WeightReader } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import type { ExpertAssignments, ForwardJobs, SharedRouting } from './jobs.js';

/** What a lane's jobs work on. */
export interface LaneModel {
  readonly checkpoint: Checkpoint;
  readonly plan: ModelPlan;
  readonly reader: WeightReader;
  readonly sessions: SessionCache;
}

/** Rows of an embedding table read at once: 4,096 rows of a 7,168-wide model are 117 MB. */
const EMBEDDING_ROWS = 4096;

export function embed({ checkpoint, plan }: LaneModel, job: ForwardJobs['embed']['job']): Handled {
  const hidden = openRowStore(job.hidden);
  const ids = new Int32Array(job.ids);
  const width = plan.hiddenSize;
  const byId = Array.from({ length: job.to - job.from }, (_, i) => job.from + i).sort(
    (a, b) => ids[a]! - ids[b]! || a - b,
  );
  let first = 0;
  let rows = new Float32Array(0);
  let end = 0;
  for (const token of byId) {
    const id = ids[token]!;
    if (id >= end) {
      first = id;
      end = Math.min(plan.vocabularySize, id + EMBEDDING_ROWS);
      rows = checkpoint.read(plan.embedding.tensor, { rows: [first, end] }) as Float32Array<ArrayBuffer>;
      if (plan.embedding.scale !== 1) for (let i = 0; i < rows.length; i++) rows[i]! *= plan.embedding.scale;
    }
    hidden.write(token, rows, (id - first) * width, 1);
  }
  hidden.close();
  return { result: null };
}

export async function runLayer(model: LaneModel, job: ForwardJobs['layer']['job']): Promise<Handled> {
  const reader = overriddenReader(
    model.reader,
    new Map(job.overrides.map(({ key, data, shape }) => [key, { data, shape }])),
  );
  const layer = loadLayer(
    model.plan,
    model.plan.layers[job.layer]!,
    reader,
    model.sessions,
    new Set(job.taps),
    job.sample,
  );
  const hidden = openRowStore(job.hidden);
  const rows = job.expertsInput === null ? null : openRowStore(job.expertsInput);
  const experts =
    rows === null || job.routing === null
      ? null
      : { rows, chosen: new Int32Array(job.routing.chosen), weights: new Float32Array(job.routing.weights) };
  for (const batch of job.batches) await layer.run(batch, hidden, experts);
  hidden.close();
  rows?.close();
  const sampledTokens = Int32Array.from(layer.sampledTokens);
  const result = [...layer.sums].map(([tap, sums]) => ({
    tap,
    ...sums,
    sample: join(layer.samples.get(tap)!),
    sampledTokens,
  }));
  return { result };
}

function join(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

export function moeOf(plan: ModelPlan, layer: number): MoePlan {
  const { feedForward } = plan.layers[layer]!;
  if (feedForward.kind !== 'moe') throw new Error(`layer ${layer} has no experts`);
  return feedForward;
}

export async function runExperts(model: LaneModel, job: ForwardJobs['experts']['job']): Promise<Handled> {
  const moe = moeOf(model.plan, job.layer);
  const input = openRowStore(job.expertsInput);
  const accumulator = openRowStore(job.accumulator);
  for (const e of job.experts) {
    const routed = gatherRouted(input, moe.topK, e, job.routing, job.assignments);
    if (routed.tokens.length === 0) continue;
    const expert = loadExpert(model.plan, moe, e, model.reader, model.sessions);
    const { output } = await expert.run(routed.x, routed.routing);
    scatterAdd(accumulator, routed.tokens, output);
  }
  input.close();
  accumulator.close();
  return { result: null };
}

export interface RoutedTokens {
  readonly tokens: Int32Array;
  /** [tokens × hidden]. */
  readonly x: Float32Array;
  readonly routing: Float32Array;
}

/** The inputs of one expert, in token order. */
export function gatherRouted(
  input: ReturnType<typeof openRowStore>,
  topK: number,
  expert: number,
  routing: SharedRouting,
  { offsets, slots }: ExpertAssignments,
): RoutedTokens {
  const own = new Int32Array(slots).subarray(offsets[expert], offsets[expert + 1]);
  const weights = new Float32Array(routing.weights);
  const tokens = own.map((slot) => Math.floor(slot / topK));
  const x = new Float32Array(tokens.length * input.width);
  tokens.forEach((token, i) => input.read(token, 1, x, i * input.width));
  return { tokens, x, routing: Float32Array.from(own, (slot) => weights[slot]!) };
}

export function scatterAdd(
  accumulator: ReturnType<typeof openRowStore>,
  tokens: Int32Array,
  output: Float32Array,
): void {
  const { width } = accumulator;
  const row = new Float32Array(width);
  for (let i = 0; i < tokens.length; i++) {
    accumulator.read(tokens[i]!, 1, row);
    const base = i * width;
    for (let j = 0; j < width; j++) row[j]! += output[base + j]!;
    accumulator.write(tokens[i]!, row);
  }
}

/** Rows combined at once. */
const COMBINE_ROWS = 1024;

export function combine(job: ForwardJobs['combine']['job']): Handled {
  const hidden = openRowStore(job.hidden);
  const accumulators = job.accumulators.map(openRowStore);
  const { width } = hidden;
  const sum = new Float32Array(COMBINE_ROWS * width);
  const part = new Float32Array(COMBINE_ROWS * width);
  const zero = new Float32Array(COMBINE_ROWS * width);
  for (let from = job.from; from < job.to; from += COMBINE_ROWS) {
    const count = Math.min(COMBINE_ROWS, job.to - from);
    hidden.read(from, count, sum);
    for (const accumulator of accumulators) {
      accumulator.read(from, count, part);
      for (let i = 0; i < count * width; i++) sum[i]! += job.scale * part[i]!;
      accumulator.write(from, zero, 0, count);
    }
    hidden.write(from, sum, 0, count);
  }
  hidden.close();
  for (const accumulator of accumulators) accumulator.close();
  return { result: null };
}

export async function logits(model: LaneModel, job: ForwardJobs['logits']['job']): Promise<Handled> {
  const graph = headGraph(model.plan);
  const feeds = loadBindings(model.reader, graph);
  const rows = job.to - job.from;
  const x = new Float32Array(rows * model.plan.hiddenSize);
  const hidden = openRowStore(job.hidden);
  hidden.read(job.from, rows, x);
  hidden.close();
  const results = await model.sessions.run(graph, {
    ...feeds,
    'head.weight': readWeight(model.checkpoint, model.plan.head.weight),
    x: { data: x, shape: [rows, model.plan.hiddenSize] },
  });
  return { result: { logits: results['logits']!, normed: results['normed']! } };
}
