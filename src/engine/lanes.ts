import { availableParallelism } from 'node:os';
import { collectGarbage } from '../runtime/collect.js';
import { startLanes, type Lanes } from '../runtime/workers.js';
import type { LaneSetup } from './jobs.js';
import type { CalibrationJobs } from './quantize-jobs.js';
import type { QuantizeSettings } from './quantize-settings.js';

/** Tests run the sources through a transformer, but a worker thread needs the compiled file. */
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/engine/lane-worker.js' : './lane-worker.js',
  import.meta.url,
);

export interface LaneOptions {
  /** Worker threads; one per core unless told. */
  readonly lanes?: number | undefined;
  /** Threads that are there already, in place of new ones; `lanes` must be theirs, or be left out. */
  readonly threads?: LaneThreads | undefined;
  /** Family to use whatever config.json says. */
  readonly assume?: string | undefined;
  readonly providers?: readonly string[] | undefined;
}

export type ModelLanes = Lanes<CalibrationJobs>;

/** Threads that outlive the models they work on: a command that audits, quantizes and evaluates starts them once. */
export interface LaneThreads {
  readonly lanes: Lanes<CalibrationJobs>;
  close(): Promise<void>;
}

export function startLaneThreads(count: number = availableParallelism()): LaneThreads {
  const lanes = startLanes<CalibrationJobs>(ENTRY, count);
  return { lanes, close: () => lanes.close() };
}

const hadModel = new WeakSet<LaneThreads>();

/** Lanes on a model folder; with settings they can quantize, too. Closing them leaves threads alive that were given. */
export async function startModelLanes(
  model: string,
  { lanes: count, threads, assume, providers = ['cpu'] }: LaneOptions = {},
  quantize: QuantizeSettings | null = null,
  roundToNearest = false,
): Promise<ModelLanes> {
  const own = threads ?? startLaneThreads(count);
  if (hadModel.has(own)) collectGarbage();
  hadModel.add(own);
  const { lanes } = own;
  const open = (setup: LaneSetup | null): Promise<unknown> =>
    Promise.all(Array.from({ length: lanes.count }, (_, lane) => lanes.call(lane, 'open', { setup })));
  await open({ model, assume: assume ?? null, providers, quantize, roundToNearest });
  return { ...lanes, close: async () => (threads === undefined ? own.close() : void (await open(null))) };
}
