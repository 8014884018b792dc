import { inputDrift } from '../awq/drift.js';
import { gemm } from '../runtime/matrix.js';
import { openRowStore } from '../runtime/row-store.js';
import type { Handled } from '../runtime/workers.js';
import type { DriftJobs } from './drift-jobs.js';

/** Rows of x and x̂ multiplied at once. */
const MOMENT_ROWS = 2048;

export async function crossMoments(job: DriftJobs['crossMoments']['job']): Promise<Handled> {
  const stores = [openRowStore(job.expertsInput), openRowStore(job.follower)] as const;
  const { width } = stores[0];
  const gram = new Float32Array(width * width);
  const cross = new Float32Array(width * width);
  const absolute = new Float32Array(width);
  for (let from = job.from; from < job.to; from += MOMENT_ROWS) {
    const count = Math.min(MOMENT_ROWS, job.to - from);
    const [x, followed] = stores.map((store) => {
      const rows = new Float32Array(count * width);
      store.read(from, count, rows);
      return rows;
    }) as [Float32Array, Float32Array];
    for (let i = 0; i < x.length; i++) {
      absolute[i % width]! += Math.abs(followed[i]!);
      x[i]! -= followed[i]!;
    }
    const shape = { m: width, n: width, k: count };
    await gemm(followed, followed, shape, { transA: true, addend: gram, out: gram });
    await gemm(x, followed, shape, { transA: true, addend: cross, out: cross });
  }
  for (const store of stores) store.close();
  return { result: { gram, cross, absolute }, transfer: [gram.buffer, cross.buffer, absolute.buffer] };
}

export async function drift({ gram, cross, tokens }: DriftJobs['drift']['job']): Promise<Handled> {
  const result = await inputDrift({ gram, inFeatures: Math.sqrt(gram.length), tokens }, cross);
  return { result };
}

export function residual(job: DriftJobs['residual']['job']): Handled {
  const [hidden, follower, target] = [openRowStore(job.hidden), openRowStore(job.follower), openRowStore(job.residual)];
  const accumulators = job.accumulators.map(openRowStore);
  const { width } = hidden;
  const [rest, part, zero] = [0, 1, 2].map(() => new Float32Array(MOMENT_ROWS * width)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let from = job.from; from < job.to; from += MOMENT_ROWS) {
    const count = Math.min(MOMENT_ROWS, job.to - from);
    hidden.read(from, count, rest);
    follower.read(from, count, part);
    for (let i = 0; i < count * width; i++) rest[i]! -= part[i]!;
    for (const accumulator of accumulators) {
      accumulator.read(from, count, part);
      for (let i = 0; i < count * width; i++) rest[i]! -= job.scale * part[i]!;
      accumulator.write(from, zero, 0, count);
    }
    target.write(from, rest, 0, count);
  }
  for (const store of [hidden, follower, target, ...accumulators]) store.close();
  return { result: null };
}
