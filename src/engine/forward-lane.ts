import type { Checkpoint } from '../checkpoint/open.js';
import { headGraph } from '../graph/head.js';
import type { ModelPlan, MoePlan } from '../model/plan.js';
import { loadExpert } from '../runtime/expert-runner.js';
import { loadLayer } from '../runtime/layer-runner.js';
import { openRowStore, type RowStoreDescriptor } from '../runtime/row-store.js';
import type { Scratch } from '../runtime/scratch.js';
import type { SessionCache } from '../runtime/sessions.js';
import { loadBindings, overriddenReader, readWeight, type WeightReader } from '../runtime/weights.js';
import { buffersOf, type Handled } from '../runtime/workers.js';
import type { ForwardJobs } from './jobs.js';
import { addTo, routedRows } from './routed-rows.js';

/** What a lane's jobs work on. */
export interface LaneModel {
  readonly checkpoint: Checkpoint;
  readonly plan: ModelPlan;
  readonly reader: WeightReader;
  readonly sessions: SessionCache;
  readonly scratch: Scratch;
}

/** What `ExpertRun` gathers when an expert only runs. */
export const NO_STATISTICS = { input: false, inner: false };

/** Rows of an embedding table read at once: 1,024 rows of a 7,168-wide model are 29 MB. */
const EMBEDDING_ROWS = 1024;

export function embed({ checkpoint, plan, scratch }: LaneModel, job: ForwardJobs['embed']['job']): Handled {
  const stores = job.into.map(openRowStore);
  const ids = new Int32Array(job.ids);
  const { hiddenSize: width, vocabularySize } = plan;
  const { tensor, scale } = plan.embedding;
  // Tokens by id, so that the table is read once and in order: id and position in one number, which sorts natively.
  const places = 2 ** Math.ceil(Math.log2(Math.max(2, job.to)));
  const byId = Float64Array.from({ length: job.to - job.from }, (_, i) => ids[job.from + i]! * places + job.from + i);
  byId.sort();
  let first = 0;
  let end = 0;
  let rows = new Float32Array(0);
  for (const key of byId) {
    const id = Math.floor(key / places);
    if (id >= end) {
      first = id;
      end = Math.min(vocabularySize, id + EMBEDDING_ROWS);
      rows = scratch.floats('embedding', (end - first) * width) as Float32Array<ArrayBuffer>;
      checkpoint.readInto(tensor, rows, 0, { rows: [first, end] });
      if (scale !== 1) for (let i = 0; i < rows.length; i++) rows[i]! *= scale;
    }
    for (const store of stores) store.write(key - id * places, rows, (id - first) * width, 1);
  }
  for (const store of stores) store.close();
  for (const store of job.cleared) touch(store, job.from, job.to);
  return { result: null };
}

/** Rows of more bytes come when they are needed: once in a run, that is nothing beside the work on them, and memory is. */
const TOUCHED_BYTES = 64 * 2 ** 20;

/**
 * Has the system provide the memory of rows of zeros. Its pages would come one by one to the lane that adds to them first,
 * and twice each: empty when they are read, real when they are written.
 */
function touch(descriptor: RowStoreDescriptor, from: number, to: number): void {
  if (descriptor.rows * descriptor.stride * Float32Array.BYTES_PER_ELEMENT > TOUCHED_BYTES) return;
  const store = openRowStore(descriptor);
  store.values?.fill(0, from * store.width, to * store.width);
  store.close();
}

export async function runLayer(model: LaneModel, job: ForwardJobs['layer']['job']): Promise<Handled> {
  const reader = overriddenReader(
    model.reader,
    new Map(job.overrides.map(({ key, data, shape }) => [key, { data, shape }])),
  );
  const options = { taps: new Set(job.taps), sample: job.sample, half: job.half, stride: job.stride };
  const layer = loadLayer(model.plan, model.plan.layers[job.layer]!, reader, model, options);
  const hidden = openRowStore(job.hidden);
  const rows = job.expertsInput === null ? null : openRowStore(job.expertsInput);
  const experts =
    rows === null || job.routing === null
      ? null
      : { rows, chosen: new Int32Array(job.routing.chosen), weights: new Float32Array(job.routing.weights) };
  const mixerRows = job.mixerRows === null ? null : openRowStore(job.mixerRows);
  for (const batch of job.batches) await layer.run(batch, hidden, { experts, mixerRows });
  layer.close();
  mixerRows?.close();
  hidden.close();
  rows?.close();
  const sampledTokens = Int32Array.from(layer.sampledTokens);
  const result = [...layer.sums].map(([tap, sums]) => ({
    tap,
    ...sums,
    sample: join(layer.samples.get(tap)!),
    sampledTokens,
  }));
  return { result, transfer: buffersOf(result.flatMap(({ gram, absolute, sample }) => [gram, absolute, sample])) };
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
    const rows = routedRows(input, moe.topK, e, job);
    if (rows.tokens.length === 0) continue;
    await loadExpert(moe, e, model.reader, model).run(rows, NO_STATISTICS, { sum: addTo(accumulator, rows) });
  }
  input.close();
  accumulator.close();
  return { result: null };
}

/** Rows combined at once: they stay in cache between the passes over them. */
const COMBINE_ROWS = 256;

export function combine(job: ForwardJobs['combine']['job']): Handled {
  const hidden = openRowStore(job.hidden);
  const accumulators = job.accumulators.map(openRowStore);
  const { width } = hidden;
  const inPlace = [hidden, ...accumulators].flatMap(({ values }) => (values === null ? [] : [values]));
  const sum = new Float32Array(COMBINE_ROWS * width);
  const part = new Float32Array(COMBINE_ROWS * width);
  const zero = new Float32Array(COMBINE_ROWS * width);
  for (let from = job.from; from < job.to; from += COMBINE_ROWS) {
    const count = Math.min(COMBINE_ROWS, job.to - from);
    if (inPlace.length === 1 + accumulators.length) {
      const [target, ...sources] = inPlace.map((values) => values.subarray(from * width, (from + count) * width));
      for (const source of sources) {
        addScaled(source, job.scale, target!);
        source.fill(0);
      }
      continue;
    }
    hidden.read(from, count, sum);
    for (const accumulator of accumulators) {
      accumulator.read(from, count, part);
      addScaled(part, job.scale, sum);
      accumulator.write(from, zero, 0, count);
    }
    hidden.write(from, sum, 0, count);
  }
  hidden.close();
  for (const accumulator of accumulators) accumulator.close();
  return { result: null };
}

/** target += scale · source. */
function addScaled(source: Float32Array, scale: number, target: Float32Array): void {
  for (let i = 0; i < source.length; i++) target[i]! += scale * source[i]!;
}

/** Bytes saved at once: copied, they stay in a core's cache (4 MiB took twice the time of 256 KiB). */
const SAVED_BYTES = 256 * 2 ** 10;

/** Writes rows [from, to) of a store to their place in a file that is there already. */
export function save({ store, path, from, to }: ForwardJobs['save']['job']): Handled {
  const rows = openRowStore(store);
  const { width } = rows;
  const file = openRowStore({ kind: 'file', path, rows: rows.rows, width, stride: width });
  const step = Math.max(1, Math.floor(SAVED_BYTES / (width * Float32Array.BYTES_PER_ELEMENT)));
  const part = rows.values === null ? new Float32Array(step * width) : null;
  for (let first = from; first < to; first += step) {
    const count = Math.min(step, to - first);
    if (part !== null) rows.read(first, count, part);
    file.write(first, part ?? rows.values!, part === null ? first * width : 0, count);
  }
  file.close();
  rows.close();
  return { result: null };
}

export async function logits(model: LaneModel, job: ForwardJobs['logits']['job']): Promise<Handled> {
  const graph = headGraph(model.plan);
  const feeds = loadBindings(model.reader, graph.bindings);
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
