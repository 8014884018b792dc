import { inputDrift } from '../awq/drift.js';
import { momentsGraph } from '../graph/moments.js';
import { openRowStore, type RowStore } from '../runtime/row-store.js';
import type { Feed } from '../runtime/sessions.js';
import { createRunningSums } from '../runtime/tap-sums.js';
import { loadBindings } from '../runtime/weights.js';
import { buffersOf, type Handled } from '../runtime/workers.js';
import type { DriftJobs } from './drift-jobs.js';
import type { LaneModel } from './forward-lane.js';

/** Rows multiplied at once. */
const MOMENT_ROWS = 1024;

export async function moments(
  { plan, reader, sessions, scratch }: LaneModel,
  job: DriftJobs['moments']['job'],
): Promise<Handled> {
  const own = job.own === null ? null : openRowStore(job.own);
  const followed = openRowStore(job.followed);
  const streams = job.streams === null ? null : [openRowStore(job.streams.own), openRowStore(job.streams.followed)];
  const { width } = followed;
  const graph = momentsGraph(job.normedBy === null ? null : plan.layers[job.normedBy]!.inputNorm, {
    own: own !== null,
    streams: streams !== null,
  });
  const weights = loadBindings(reader, graph.bindings);
  const sums = createRunningSums(graph, new Map([['followed' as const, width]]));
  const square = (rows: number): Feed => ({ data: new Float32Array(rows * width), shape: [rows, width] });
  const cross = own === null ? null : square(width);
  const owed = streams === null ? null : square(plan.hiddenSize);
  const sampled = new Float32Array(job.sample.filter((token) => token >= job.from && token < job.to).length * width);
  let taken = 0;
  for (let from = job.from; from < job.to; from += MOMENT_ROWS) {
    const count = Math.min(MOMENT_ROWS, job.to - from);
    const part = (name: string, store: RowStore): Feed => {
      const feed = { data: scratch.floats(`moments.${name}`, count * store.width), shape: [count, store.width] };
      store.read(from, count, feed.data);
      return feed;
    };
    const rows = { data: scratch.floats('moments.rows', count * width), shape: [count, width] };
    const feeds: Record<string, Feed> = { ...weights, ...sums.feeds, followed: part('followed', followed) };
    const outputs: Record<string, Feed> = { ...sums.outputs, rows };
    if (own !== null && cross !== null) {
      feeds['own'] = part('own', own);
      outputs['cross'] = feeds['cross.sum'] = cross;
    }
    if (streams !== null && owed !== null) {
      feeds['hidden'] = part('hidden', streams[0]!);
      feeds['followed_hidden'] = part('followed-hidden', streams[1]!);
      outputs['owed'] = feeds['owed.sum'] = owed;
    }
    await sessions.run(graph, feeds, outputs);
    sums.add();
    for (const token of job.sample) {
      if (token < from || token >= from + count) continue;
      sampled.set(rows.data.subarray((token - from) * width, (token - from + 1) * width), taken);
      taken += width;
    }
  }
  for (const store of [own, followed, ...(streams ?? [])]) store?.close();
  const { gram, absolute } = sums.sums.get('followed')!;
  const result = { gram, absolute, cross: cross?.data ?? null, owed: owed?.data ?? null, sample: sampled };
  // Behind the attention of a model like DeepSeek-V3 these are gigabytes: moved, not copied.
  return { result, transfer: buffersOf([gram, absolute, result.cross, result.owed, sampled]) };
}

export async function drift({ gram, cross, tokens }: DriftJobs['drift']['job']): Promise<Handled> {
  const result = await inputDrift({ gram, inFeatures: Math.sqrt(gram.length), tokens }, cross);
  return { result, transfer: buffersOf([result]) };
}
