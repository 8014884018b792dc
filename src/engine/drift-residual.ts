import { openRowStore } from '../runtime/row-store.js';
import type { Handled } from '../runtime/workers.js';
import type { DriftJobs } from './drift-jobs.js';

/** Rows worked on at once: they stay in cache between the passes over them. */
const PART_ROWS = 256;

export function residual(job: DriftJobs['residual']['job']): Handled {
  const [hidden, follower, target] = [openRowStore(job.hidden), openRowStore(job.follower), openRowStore(job.residual)];
  const accumulators = job.accumulators.map(openRowStore);
  const { width } = hidden;
  const [rest, part, zero] = [0, 1, 2].map(() => new Float32Array(PART_ROWS * width)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  for (let from = job.from; from < job.to; from += PART_ROWS) {
    const count = Math.min(PART_ROWS, job.to - from);
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
