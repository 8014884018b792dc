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

/** @param again the parent was there at the last try: another download may have made it just before we looked */
async function make(path: string, again = false): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : null;
    if (code === 'EEXIST' && (await isFolder(path))) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path || again) throw error;
    if (!(await isFolder(parent))) await make(parent);
    await make(path, true);
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => null))?.isDirectory() === true;
}
