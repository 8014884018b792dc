import { inputDrift } from '../awq/drift.js';
import { momentsGraph, type Columns } from '../graph/moments.js';
import { openRowStore, type RowStore } from '../runtime/row-store.js';
import type { Feed } from '../runtime/sessions.js';
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
  const channels = job.streams?.channels ?? null;
  const norm = job.normedBy === null ? null : plan.layers[job.normedBy]!.inputNorm;
  const graph = momentsGraph(norm, {
    features: partOf(width, job.features),
    own: own !== null,
    streams: channels === null ? null : partOf(plan.hiddenSize, channels),
  });
  const weights = loadBindings(reader, graph.bindings);
  const sumOf = (columns: Columns | null): Feed | null => {
    if (columns === null) return null;
    const rows = columns[1] - columns[0];
    return { data: new Float32Array(rows * width), shape: [rows, width] };
  };
  const gram = sumOf(job.features)!;
  const cross = sumOf(own === null ? null : job.features);
  const owed = sumOf(channels);
  const [features] = gram.shape as [number];
  const absolute = new Float32Array(features);
  const partOfAbsolute = new Float32Array(features);
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
    const feeds: Record<string, Feed> = { ...weights, followed: part('followed', followed) };
    const outputs: Record<string, Feed> = { rows, abs: { data: partOfAbsolute, shape: [features] } };
    if (own !== null) feeds['own'] = part('own', own);
    if (streams !== null) {
      feeds['hidden'] = part('hidden', streams[0]!);
      feeds['followed_hidden'] = part('followed-hidden', streams[1]!);
    }
    for (const [name, sum] of Object.entries({ gram, cross, owed }))
      if (sum !== null) outputs[name] = feeds[`${name}.sum`] = sum;
    await sessions.run(graph, feeds, outputs);
    for (let i = 0; i < features; i++) absolute[i]! += partOfAbsolute[i]!;
    for (const token of job.sample) {
      if (token < from || token >= from + count) continue;
      sampled.set(rows.data.subarray((token - from) * width, (token - from + 1) * width), taken);
      taken += width;
    }
  }
  for (const store of [own, followed, ...(streams ?? [])]) store?.close();
  const result = { gram: gram.data, absolute, cross: cross?.data ?? null, owed: owed?.data ?? null, sample: sampled };
  // Behind the attention of a model like DeepSeek-V3 these are gigabytes: moved, not copied.
  return { result, transfer: buffersOf([result.gram, absolute, result.cross, result.owed, sampled]) };
}

function partOf(width: number, columns: Columns): Columns | 'all' {
  return columns[1] - columns[0] === width ? 'all' : columns;
}

export async function drift({ gram, cross, tokens }: DriftJobs['drift']['job']): Promise<Handled> {
  const result = await inputDrift({ gram, inFeatures: Math.sqrt(gram.length), tokens }, cross);
  return { result, transfer: buffersOf([result]) };
}
