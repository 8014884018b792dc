import { availableParallelism } from 'node:os';
import { startLanes, type Lanes } from '../runtime/workers.js';
import type { ForwardJobs, LaneSetup } from './jobs.js';

/** Tests run the sources through a transformer, but a worker thread needs the compiled file. */
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/engine/lane-worker.js' : './lane-worker.js',
  import.meta.url,
);

export interface LaneOptions {
  readonly lanes?: number;
  readonly assume?: string | undefined;
  readonly providers?: readonly string[];
}

/** Starts one lane per core on a model folder. */
export function startModelLanes(
  model: string,
  { lanes = availableParallelism(), assume, providers = ['cpu'] }: LaneOptions = {},
): Promise<Lanes<ForwardJobs>> {
  const setup: LaneSetup = { model, assume: assume ?? null, threads: 1, providers };
  return startLanes<ForwardJobs>(ENTRY, lanes, setup);
}
