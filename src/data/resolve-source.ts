import type { Stats } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { InputError } from '../errors.js';
import { builtinPath, isBuiltin } from './builtin.js';
import { fileBytes } from './byte-source.js';
import { readCard } from './card.js';
import { findDataFiles, otherFormats, splitByName } from './data-files.js';
import { parseHubId } from './hub/open-repository.js';
import { resolveHubSource } from './hub-source.js';
import { listFiles } from './list-files.js';
import type { ResolvedSource } from './resolved-source.js';
import type { ReadSourceOptions, SourceSpec } from './source-spec.js';
import { openRows } from './storage/open-file.js';
import { chooseSplit, savedDatasetFiles } from './storage/saved-dataset.js';

/**
 * Finds what a spec names: a built-in set, a file, a folder (as `datasets` saved it, or with data files by its card or
 * their names), else a dataset of the Hub.
 *
 * @throws InputError when there is nothing by that name
 */
export async function resolveSource(spec: SourceSpec, options: ReadSourceOptions): Promise<ResolvedSource> {
  if (isBuiltin(spec.dataset)) return openFile(builtinPath(spec.dataset), spec);
  const path = resolve(options.baseDirectory ?? '.', spec.dataset);
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() === true) return openFolder(path, spec);
  if (found?.isFile() === true) return openFile(path, spec);
  // A pipe would hold its reader until somebody writes to it, and can be read but once.
  if (found !== null)
    throw new InputError(`Cannot read dataset "${spec.dataset}": wanted a file or folder, got ${kindOf(found)}`);
  if (parseHubId(spec.dataset) !== null) return resolveHubSource(spec, options);
  throw new InputError(
    `Cannot find dataset "${spec.dataset}": no file or folder "${path}", and no Hub id (org/name[@revision])`,
  );
}

function kindOf(stats: Stats): string {
  if (stats.isFIFO()) return 'a named pipe';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}

/** A file is its own only split, `train` or what its name says; asking for another one is a mistake to tell of. */
function openFile(path: string, spec: SourceSpec): ResolvedSource {
  refuseSubset(spec, 'a file');
  if (spec.split !== undefined) chooseSplit(['train', splitByName(basename(path))], spec.split, spec.dataset);
  return localFiles([path]);
}

function refuseSubset({ dataset, subset }: SourceSpec, what: string): void {
  if (subset === undefined) return;
  throw new InputError(`Cannot read dataset "${dataset}": wanted its subset "${subset}", but ${what} has none`);
}

async function openFolder(folder: string, spec: SourceSpec): Promise<ResolvedSource> {
  const saved = await savedDatasetFiles(folder, spec.split);
  if (saved !== null) {
    refuseSubset(spec, 'a saved dataset');
    return localFiles(saved);
  }
  const readme = await readFile(join(folder, 'README.md'), 'utf8').catch(() => null);
  const card = readCard(readme, spec.dataset);
  const files = await listFiles(folder);
  const found = findDataFiles({
    dataset: spec.dataset,
    files,
    card,
    subset: spec.subset,
    split: spec.split,
  });
  const others = card.configs === null ? otherFormats(files, found) : [];
  const resolved = { ...localFiles(found.map((path) => join(folder, path))), license: card.license };
  if (others.length === 0) return resolved;
  const some = others.length > 3 ? `${others.slice(0, 3).join(', ')}, …` : others.join(', ');
  return { ...resolved, note: `${spec.dataset}: not read, as most files are of another format: ${some}` };
}

function localFiles(paths: readonly string[]): ResolvedSource {
  const files = paths.map((path) => ({ name: path, open: async () => openRows(await fileBytes(path)) }));
  return { revision: null, license: null, files };
}
