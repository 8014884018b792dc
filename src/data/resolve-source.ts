import { stat } from 'node:fs/promises';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InputError } from '../errors.js';
import { builtinPath, isBuiltin } from './builtin.js';
import { fileBytes } from './byte-source.js';
import type { RowFile } from './row.js';
import type { ReadSourceOptions, SourceSpec } from './source-spec.js';
import { isDataFile, openRows } from './storage/open-file.js';

/** A source found: its files, not opened yet, and what is known of all its rows. */
export interface ResolvedSource {
  readonly revision: string | null;
  readonly license: string | null;
  readonly files: readonly { readonly name: string; readonly open: () => Promise<RowFile> }[];
}

/** Finds what a spec names; throws InputError when there is nothing by that name. */
export async function resolveSource(spec: SourceSpec, options: ReadSourceOptions): Promise<ResolvedSource> {
  if (isBuiltin(spec.dataset)) return localFiles([builtinPath(spec.dataset)]);
  const path = resolve(options.baseDirectory ?? '.', spec.dataset);
  const found = await stat(path).catch(() => null);
  if (found === null) throw new InputError(`Cannot find dataset "${spec.dataset}": no such file or folder`);
  if (!found.isDirectory()) return localFiles([path]);
  const names = (await readdir(path, { recursive: true })).filter(isDataFile).sort((a, b) => (a < b ? -1 : 1));
  if (names.length === 0) throw new InputError(`Cannot read dataset "${spec.dataset}": the folder has no data files`);
  return localFiles(names.map((name) => join(path, name)));
}

function localFiles(paths: readonly string[]): ResolvedSource {
  const files = paths.map((path) => ({ name: path, open: async () => openRows(await fileBytes(path)) }));
  return { revision: null, license: null, files };
}
