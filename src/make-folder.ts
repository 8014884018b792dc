import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { InputError } from './errors.js';

/**
 * Makes a folder and those above it. Node's own `recursive` never returns where a file system answers ENOENT to a mkdir in a
 * folder that is there, as /proc does: it makes the parent, which succeeds, and tries again.
 *
 * @throws InputError with the system's reason
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await make(resolve(path));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(`make folder '${path}': ${reason}`, { cause: error });
  }
}

async function make(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EEXIST' && (await isFolder(path))) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || (await isFolder(parent))) throw error;
    await make(parent);
    await make(path);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}
