import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { fileBytes, type ByteSource } from './byte-source.js';
import { readCard } from './card.js';
import { findDataFiles } from './data-files.js';
import { cachedFile, downloadFile } from './hub/download.js';
import { listRepository, openRepository, parseHubId } from './hub/open-repository.js';
import { openRanges } from './hub/range-source.js';
import type { Repository, RepositoryFile } from './hub/repository.js';
import { hubSettings } from './hub/settings.js';
import type { ResolvedSource } from './resolved-source.js';
import { createRandom, drawIndices } from './sampling.js';
import type { ReadSourceOptions, SourceSpec } from './source-spec.js';
import { endingOf, openRows } from './storage/open-file.js';

/** The branch where the Hub keeps its own Parquet conversion of every public dataset it can read. */
const CONVERTED = 'refs/convert/parquet';

/** A draw of rows touches no more files than this, chosen by seed: some sets have thousands of shards. */
const MAX_DRAWN_FILES = 16;

/** Finds a dataset on the Hub, at one commit, by its card or its file names, else in the Hub's Parquet conversion. */
export async function resolveHubSource(spec: SourceSpec, options: ReadSourceOptions): Promise<ResolvedSource> {
  const parsed = parseHubId(spec.dataset);
  if (parsed === null) throw new InputError(`Cannot find dataset "${spec.dataset}": wanted org/name[@revision]`);
  const settings = hubSettings(options.hub);
  const revision = spec.revision ?? parsed.revision ?? 'main';
  const original = await openRepository('dataset', parsed.id, revision, settings, options.signal);
  const { repository, files, license } = await chooseFiles(original, spec, options);
  const drawn = typeof spec.samples === 'number' ? drawFiles(files, spec, options.seed) : files;
  return {
    revision: repository.sha,
    license: original.license ?? license,
    files: drawn.map((file) => ({
      name: file.path,
      open: async () => openRows(await openFile(repository, file, spec, options)),
    })),
  };
}

interface ChosenFiles {
  /** By the card, as the Hub does not say it offline. */
  readonly license: string | null;
  readonly repository: Repository;
  readonly files: readonly RepositoryFile[];
}

async function chooseFiles(original: Repository, spec: SourceSpec, options: ReadSourceOptions): Promise<ChosenFiles> {
  const listed = await listRepository(original);
  const readme = listed.find(({ path }) => path === 'README.md');
  const text = readme === undefined ? null : await readFile(await downloadFile(original, readme, options), 'utf8');
  const card = readCard(text, spec.dataset);
  const query = { dataset: spec.dataset, card, subset: spec.subset, split: spec.split };
  try {
    const paths = findDataFiles({ ...query, files: listed.map(({ path }) => path) });
    return { repository: original, license: card.license, files: pick(listed, paths) };
  } catch (error) {
    const converted = error instanceof InputError ? await convertedFiles(original, spec, options) : null;
    if (converted === null) throw error;
    return { ...converted, license: card.license };
  }
}

/** `<subset>/<split>/0000.parquet`, `partial-<split>` where only the beginning was converted. */
async function convertedFiles(
  original: Repository,
  spec: SourceSpec,
  options: ReadSourceOptions,
): Promise<Omit<ChosenFiles, 'license'> | null> {
  let repository: Repository;
  let listed: readonly RepositoryFile[];
  try {
    repository = await openRepository('dataset', original.id, CONVERTED, original.settings, options.signal);
    listed = await listRepository(repository);
  } catch (error) {
    if (error instanceof InputError) return null;
    throw error;
  }
  const subsets = [...new Set(listed.map(({ path }) => path.split('/', 1)[0] ?? ''))].filter(
    (name) => !name.includes('.'),
  );
  const subset =
    spec.subset ?? (subsets.includes('default') ? 'default' : subsets.length === 1 ? subsets[0] : undefined);
  if (subset === undefined || !subsets.includes(subset)) return null;
  const wanted = spec.split ?? 'train';
  const files = listed.filter(({ path }) => {
    const [folder, split, ...rest] = path.split('/');
    return folder === subset && rest.length === 1 && (split === wanted || split === `partial-${wanted}`);
  });
  return files.length === 0 ? null : { repository, files };
}

async function openFile(
  repository: Repository,
  file: RepositoryFile,
  spec: SourceSpec,
  options: ReadSourceOptions,
): Promise<ByteSource> {
  const name = `${repository.id}/${file.path}`;
  const cached = await cachedFile(repository, file);
  if (cached !== null) return fileBytes(cached, name);
  const { offline, rangedBytes } = repository.settings;
  const partly = typeof spec.samples === 'number' && endingOf(file.path) === 'parquet' && file.size > rangedBytes;
  if (partly && !offline) return openRanges(repository, file, options.signal);
  const path = await downloadFile(repository, file, {
    signal: options.signal,
    onProgress: ({ path: each, size }, bytes) =>
      options.onEvent?.({ type: 'download', source: spec.name ?? spec.dataset, file: each, bytes, totalBytes: size }),
  });
  return fileBytes(path, name);
}

function drawFiles(files: readonly RepositoryFile[], spec: SourceSpec, seed: number): readonly RepositoryFile[] {
  const random = createRandom(seed, `files\u0000${spec.dataset}`);
  const chosen = new Set(drawIndices(MAX_DRAWN_FILES, files.length, random));
  return files.filter((_, index) => chosen.has(index));
}

function pick(files: readonly RepositoryFile[], paths: readonly string[]): RepositoryFile[] {
  const byPath = new Map(files.map((file) => [file.path, file]));
  return paths.flatMap((path) => byPath.get(path) ?? []);
}
