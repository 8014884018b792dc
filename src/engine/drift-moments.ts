import { inputDrift } from '../awq/drift.js';
import { momentsGraph, normGraph, type Columns } from '../graph/moments.js';
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
  const first = Math.ceil(job.from / job.stride) * job.stride;
  const tokens = Int32Array.from(
    { length: Math.max(0, Math.ceil((job.to - first) / job.stride)) },
    (_, i) => first + i * job.stride,
  );
  for (let done = 0; done < tokens.length; done += MOMENT_ROWS) {
    const rows = tokens.subarray(done, done + MOMENT_ROWS);
    const part = (name: string, store: RowStore): Feed => {
      const feed = {
        data: scratch.floats(`moments.${name}`, rows.length * store.width),
        shape: [rows.length, store.width],
      };
      if (job.stride === 1) store.read(rows[0]!, rows.length, feed.data);
      else store.gather(rows, feed.data);
      return feed;
    };
    const feeds: Record<string, Feed> = { ...weights, followed: part('followed', followed) };
    const outputs: Record<string, Feed> = { abs: { data: partOfAbsolute, shape: [features] } };
    if (own !== null) feeds['own'] = part('own', own);
    if (streams !== null) {
      feeds['hidden'] = part('hidden', streams[0]!);
      feeds['followed_hidden'] = part('followed-hidden', streams[1]!);
    }
    for (const [name, sum] of Object.entries({ gram, cross, owed }))
      if (sum !== null) outputs[name] = feeds[`${name}.sum`] = sum;
    await sessions.run(graph, feeds, outputs);
    for (let i = 0; i < features; i++) absolute[i]! += partOfAbsolute[i]!;
  }
  const sampled = job.sample.filter((token) => token >= job.from && token < job.to);
  const sample = new Float32Array(sampled.length * width);
  followed.gather(sampled, sample);
  if (norm !== null && sampled.length > 0) {
    const rows = { data: sample, shape: [sampled.length, width] };
    const normed = normGraph(norm);
    await sessions.run(
      normed,
      { ...loadBindings(reader, normed.bindings), x: { ...rows, data: sample.slice() } },
      { rows },
    );
  }
  for (const store of [own, followed, ...(streams ?? [])]) store?.close();
  const result = { gram: gram.data, absolute, cross: cross?.data ?? null, owed: owed?.data ?? null, sample };
  // Behind the attention of a model like DeepSeek-V3 these are gigabytes: moved, not copied.
  return { result, transfer: buffersOf([result.gram, absolute, result.cross, result.owed, sample]) };
}

function partOf(width: number, columns: Columns): Columns | 'all' {
  return columns[1] - columns[0] === width ? 'all' : columns;
}

export async function drift({ gram, cross, tokens }: DriftJobs['drift']['job']): Promise<Handled> {
  const result = await inputDrift({ gram, inFeatures: Math.sqrt(gram.length), tokens }, cross);
  return { result, transfer: buffersOf([result]) };
}
