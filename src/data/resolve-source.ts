import { readFile, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InputError } from '../errors.js';
import { builtinPath, isBuiltin } from './builtin.js';
import { fileBytes } from './byte-source.js';
import { readCard } from './card.js';
import { findDataFiles } from './data-files.js';
import { parseHubId } from './hub/open-repository.js';
import { resolveHubSource } from './hub-source.js';
import type { ResolvedSource } from './resolved-source.js';
import type { ReadSourceOptions, SourceSpec } from './source-spec.js';
import { openRows } from './storage/open-file.js';
import { savedDatasetFiles } from './storage/saved-dataset.js';

/**
 * Finds what a spec names: a built-in set, a file, a folder (as `datasets` saved it, or with data files by its card or
 * their names), else a dataset of the Hub.
 *
 * @throws InputError when there is nothing by that name
 */
export async function resolveSource(spec: SourceSpec, options: ReadSourceOptions): Promise<ResolvedSource> {
  if (isBuiltin(spec.dataset)) return localFiles([builtinPath(spec.dataset)]);
  const path = resolve(options.baseDirectory ?? '.', spec.dataset);
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() === true) return openFolder(path, spec);
  if (found !== null) return localFiles([path]);
  if (parseHubId(spec.dataset) !== null) return resolveHubSource(spec, options);
  throw new InputError(
    `Cannot find dataset "${spec.dataset}": no file or folder "${path}", and no Hub id (org/name[@revision])`,
  );
}

async function openFolder(folder: string, spec: SourceSpec): Promise<ResolvedSource> {
  const saved = await savedDatasetFiles(folder, spec.split);
  if (saved !== null) return localFiles(saved);
  const entries = await readdir(folder, { recursive: true });
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => null);
  const card = readCard(readme, spec.dataset);
  const found = findDataFiles({
    dataset: spec.dataset,
    files: entries.map((path) => path.replaceAll('\\', '/')),
    card,
    subset: spec.subset,
    split: spec.split,
  });
  return { ...localFiles(found.map((path) => join(folder, path))), license: card.license };
}

function localFiles(paths: readonly string[]): ResolvedSource {
  const files = paths.map((path) => ({ name: path, open: async () => openRows(await fileBytes(path)) }));
  return { revision: null, license: null, files };
}
