import { realpathSync } from 'node:fs';
import { basename, dirname, isAbsolute, join, sep } from 'node:path';
import { InputError } from '../errors.js';
import { codeOf, messageOf } from './system-error.js';

/**
 * The path of a file that an untrusted document names relative to `directory`. Refuses names that would leave the
 * folder: absolute, with `..`, or through a symbolic link. One exception: a snapshot of the Hub's cache links to
 * `../../blobs/<hash>` by design.
 */
export function resolveInside(directory: string, name: string): string {
  assertRelativeName(directory, name);
  const path = join(directory, name);
  let real: string;
  let root: string;
  try {
    root = realpathSync(directory);
    real = realpathSync(path);
  } catch (error) {
    throw new InputError(`open file '${name}' in '${directory}': ${explainMissing(error)}`, { cause: error });
  }
  if (real.startsWith(root + sep) || isHubBlob(root, real)) return path;
  throw new InputError(
    `open file '${name}' in '${directory}': wanted a file inside the folder, got a link to '${real}'`,
  );
}

/** Refuses a file name that is empty, absolute or climbs with `..`, on every platform's separators. */
export function assertRelativeName(directory: string, name: string): void {
  const parts = name.split(/[/\\]/);
  const climbs = parts.includes('..') || parts.includes('') || parts.includes('.');
  if (climbs || isAbsolute(name) || /^[a-z]:/i.test(name) || name.includes('\0')) {
    throw new InputError(`open file '${name}' in '${directory}': wanted a plain relative name inside the folder`);
  }
}

/** models--owner--name/snapshots/<revision> → models--owner--name/blobs/<hash> */
function isHubBlob(root: string, real: string): boolean {
  const snapshots = dirname(root);
  return basename(snapshots) === 'snapshots' && dirname(real) === join(dirname(snapshots), 'blobs');
}

function explainMissing(error: unknown): string {
  return codeOf(error) === 'ENOENT' ? 'the file is missing' : messageOf(error);
}
