import { inputDrift } from '../awq/drift.js';
import { momentsGraph } from '../graph/moments.js';
import { openRowStore } from '../runtime/row-store.js';
import type { Feed } from '../runtime/sessions.js';
import { createRunningSums } from '../runtime/tap-sums.js';
import { loadBindings } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import type { DriftJobs } from './drift-jobs.js';
import type { LaneModel } from './forward-lane.js';

/** Rows multiplied at once. */
const MOMENT_ROWS = 1024;

export async function moments(
  { plan, reader, sessions, scratch }: LaneModel,
  job: DriftJobs['moments']['job'],
): Promise<Handled> {
  const [own, followed] = [openRowStore(job.own), openRowStore(job.followed)];
  const streams = job.streams === null ? null : [openRowStore(job.streams.own), openRowStore(job.streams.followed)];
  const { width } = own;
  const graph = momentsGraph(job.normedBy === null ? null : plan.layers[job.normedBy]!.inputNorm, streams !== null);
  const weights = loadBindings(reader, graph.bindings);
  const sums = createRunningSums(graph, new Map([['followed' as const, width]]));
  const square = (rows: number): Feed => ({ data: new Float32Array(rows * width), shape: [rows, width] });
  const cross = square(width);
  const owed = streams === null ? null : square(plan.hiddenSize);
  const sampled = new Float32Array(job.sample.filter((token) => token >= job.from && token < job.to).length * width);
  let taken = 0;
  for (let from = job.from; from < job.to; from += MOMENT_ROWS) {
    const count = Math.min(MOMENT_ROWS, job.to - from);
    const part = (name: string, store: typeof own): Feed => {
      const feed = { data: scratch.floats(`moments.${name}`, count * store.width), shape: [count, store.width] };
      store.read(from, count, feed.data);
      return feed;
    };
    const rows = { data: scratch.floats('moments.rows', count * width), shape: [count, width] };
    const feeds = { ...weights, ...sums.feeds, own: part('own', own), followed: part('followed', followed) };
    const outputs: Record<string, Feed> = { ...sums.outputs, cross, rows };
    if (owed !== null) outputs['owed'] = owed;
    await sessions.run(
      graph,
      {
        ...feeds,
        'cross.sum': cross,
        ...(streams === null || owed === null
          ? {}
          : {
              hidden: part('hidden', streams[0]!),
              followed_hidden: part('followed-hidden', streams[1]!),
              'owed.sum': owed,
            }),
      },
      outputs,
    );
    sums.add();
    for (const token of job.sample) {
      if (token < from || token >= from + count) continue;
      sampled.set(rows.data.subarray((token - from) * width, (token - from + 1) * width), taken);
      taken += width;
    }
  }
  for (const store of [own, followed, ...(streams ?? [])]) store.close();
  const { gram, absolute } = sums.sums.get('followed')!;
  return { result: { gram, absolute, cross: cross.data, owed: owed?.data ?? null, sample: sampled } };
}

export async function drift({ gram, cross, tokens }: DriftJobs['drift']['job']): Promise<Handled> {
  return { result: await inputDrift({ gram, inFeatures: Math.sqrt(gram.length), tokens }, cross) };
}
