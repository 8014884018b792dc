import { mkdirSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import type { ModelPlan } from '../model/plan.js';
import { accumulatorNames, type SpillPath } from './pass-state.js';
import type { MemoryEstimate } from './memory.js';

/** Row stores that do not fit the memory budget live here, within the folder a run is given, until the run ends. */
export const SPILL_FOLDER = '.evenkeel-spill';

export interface Spill {
  readonly path: SpillPath;
  /** Bytes on disk. */
  readonly bytes: number;
  remove(): void;
}

/** Stores that are read and written row by row stay in memory longest; the hidden states go first, they only stream. */
const RANKS = [/accumulator/, /experts-input/, /hidden/];

/**
 * Decides which row stores go to files so that a run stays within `memory` bytes; null keeps them all in memory.
 *
 * @throws InputError when even with everything on disk the budget does not suffice, or the disk does not
 */
export function planSpill(
  folder: string,
  memory: number | null,
  estimate: MemoryEstimate,
  names: readonly string[],
): Spill {
  const { workingBytes, storeBytes } = estimate;
  if (memory === null) return { path: () => null, bytes: 0, remove: () => undefined };
  if (memory < workingBytes) {
    throw new InputError(
      `run within --memory ${gibibytes(memory)}: wanted at least ${gibibytes(workingBytes)} for the layer being worked on; ` +
        'fewer --lanes need less',
    );
  }
  const rank = (name: string): number => RANKS.findIndex((pattern) => pattern.test(name));
  const inMemory = Math.floor((memory - workingBytes) / Math.max(1, storeBytes));
  const spilled = new Set(names.toSorted((a, b) => rank(a) - rank(b)).slice(inMemory));
  const directory = join(folder, SPILL_FOLDER);
  if (spilled.size > 0) {
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
    const { bavail, bsize } = statfsSync(directory);
    const bytes = spilled.size * storeBytes;
    if (bavail * bsize < bytes) {
      throw new InputError(
        `spill to '${directory}': wanted ${gibibytes(bytes)} of free space, got ${gibibytes(bavail * bsize)}`,
      );
    }
  }
  return {
    path: (name) => (spilled.has(name) ? join(directory, name) : null),
    bytes: spilled.size * storeBytes,
    remove: () => rmSync(directory, { recursive: true, force: true }),
  };
}

/** The row stores of a run by name, as `createPassState` and `createFollower` ask for them. */
export function storeNames(plan: ModelPlan, lanes: number, streams: number): string[] {
  const own = ['hidden', 'experts-input'];
  const followers = own.map((name) => `follower-${name}`);
  return [...own, ...(streams > 1 ? followers : []), ...accumulatorNames(plan, lanes)];
}

function gibibytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
