import { availableParallelism } from 'node:os';
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
  /** Family to use whatever config.json says. */
  readonly assume?: string | undefined;
  readonly providers?: readonly string[] | undefined;
}

export type ModelLanes = Lanes<CalibrationJobs>;

/** Starts the lanes on a model folder; with settings they can quantize, too. */
export function startModelLanes(
  model: string,
  { lanes = availableParallelism(), assume, providers = ['cpu'] }: LaneOptions = {},
  quantize: QuantizeSettings | null = null,
  roundToNearest = false,
): Promise<ModelLanes> {
  const setup: LaneSetup = { model, assume: assume ?? null, threads: 1, providers, quantize, roundToNearest };
  return startLanes<CalibrationJobs>(ENTRY, lanes, setup);
}
