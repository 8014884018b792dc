import { existsSync, readdirSync, readFileSync, realpathSync } from 'node:fs';
import { open, readdir, readFile, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { InputError, type Location } from '../errors.js';
import { PARTIAL_SUFFIX, writeFully, writing } from './durable.js';
import { hasJournal, JOURNAL_FILE } from './journal.js';
import { isJsonObject } from './json-file.js';
import { INDEX_FILE } from './shards.js';
import { codeOf } from './system-error.js';

/** Names the process that writes to the folder. */
export const LOCK_FILE = '.evenkeel-lock';

/**
 * Claims a folder for this process; the lock of a process that has died is taken over.
 *
 * @returns a function that gives the folder free
 * @throws InputError while another run holds it
 */
export async function lockFolder(directory: string): Promise<() => Promise<void>> {
  const path = join(directory, LOCK_FILE);
  const owner = `${JSON.stringify({ pid: process.pid, host: hostname() })}\n`;
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      const handle = await open(path, 'wx');
      await writeFully(handle, new TextEncoder().encode(owner), 0);
      await handle.close();
      return () => rm(path, { force: true });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') await writing(path, () => Promise.reject(error));
      const holder = await readHolder(path);
      if (holder !== null && isRunning(holder)) {
        throw new InputError(
          `write to '${directory}': process ${holder.pid} on '${holder.host}' is writing there; ` +
            `if it is gone, remove '${path}'`,
          { cause: error },
        );
      }
      await rm(path, { force: true });
    }
  }
  throw new InputError(`write to '${directory}': another run took the folder at the same moment`);
}

interface Holder {
  readonly pid: number;
  readonly host: string;
}

async function readHolder(path: string): Promise<Holder | null> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'));
    if (!isJsonObject(value)) return null;
    const { pid, host } = value;
    return typeof pid === 'number' && typeof host === 'string' ? { pid, host } : null;
  } catch {
    // Torn by a crash, or gone meanwhile.
    return null;
  }
}

function isRunning({ pid, host }: Holder): boolean {
  // Another machine's processes cannot be asked.
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/**
 * Refuses to write a checkpoint over the model that it is made from, under whatever name: replacing removes the weights
 * that lie there.
 */
export function assertApart(model: string, output: string, location?: Location): void {
  if (!existsSync(output) || realpathSync(output) !== realpathSync(model)) return;
  throw new InputError(
    `write checkpoint '${output}': wanted another folder than the model's`,
    location === undefined ? {} : { location },
  );
}

/** Weights that nobody quantized are somebody's original, named as output by mistake: they are never removed. */
function assertQuantized(directory: string): void {
  if (!readdirSync(directory).some((name) => name.endsWith('.safetensors'))) return;
  let config: unknown = null;
  try {
    config = JSON.parse(readFileSync(join(directory, 'config.json'), 'utf8'));
  } catch {
    // Not ours to judge: kept.
  }
  if (isJsonObject(config) && isJsonObject(config['quantization_config'])) return;
  throw new InputError(
    `replace checkpoint '${directory}': wanted a quantized checkpoint, got a model without quantization_config; ` +
      'remove it yourself if it is not needed',
  );
}

/** Decides about what is in the folder already; returns whether there is a run to resume. */
export async function prepareFolder(directory: string, existing: 'refuse' | 'resume' | 'replace'): Promise<boolean> {
  const interrupted = hasJournal(directory);
  const finished = !interrupted && existsSync(join(directory, 'config.json'));
  if (existing === 'resume' && !finished) return interrupted;
  if (existing === 'replace') {
    if (finished) assertQuantized(directory);
    // config.json first: from here on the folder no longer looks finished.
    await rm(join(directory, 'config.json'), { force: true });
    for (const name of await readdir(directory)) {
      const ours = name.endsWith('.safetensors') || name.endsWith(PARTIAL_SUFFIX);
      if (ours || name === INDEX_FILE || name === JOURNAL_FILE) await rm(join(directory, name));
    }
    return false;
  }
  if (interrupted || finished) {
    throw new InputError(
      `write checkpoint '${directory}': the folder holds ${finished ? 'a finished checkpoint' : 'an interrupted run'} already`,
    );
  }
  return false;
}
