import { readdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { InputError } from '../errors.js';

/** The largest data sets have some 100,000 files; more says that somebody's home or disk was named. */
const MAX_FILES = 1_000_000;

/**
 * The regular files below a folder, with slashes and relative to it, in no order. Links are followed, as a Hub cache is made of
 * them, but none back to a folder that the walk is in.
 *
 * @throws InputError when there are more than {@link MAX_FILES}
 */
export async function listFiles(folder: string): Promise<string[]> {
  const files: string[] = [];
  await walk(folder, '', [await realpath(folder)], files);
  return files;
}

async function walk(root: string, below: string, above: readonly string[], files: string[]): Promise<void> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === '' ? entry.name : `${below}/${entry.name}`;
    const found = entry.isSymbolicLink() ? await stat(join(root, path)).catch(() => null) : entry;
    if (found?.isFile() === true) files.push(path);
    if (files.length > MAX_FILES) throw new InputError(`Cannot read folder "${root}": more than ${MAX_FILES} files`);
    if (found?.isDirectory() !== true) continue;
    const real = await realpath(join(root, path));
    if (!above.includes(real)) await walk(root, path, [...above, real], files);
  }
}
