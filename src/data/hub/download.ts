import { createHash } from 'node:crypto';
import { copyFile, open, readdir, rename, rm, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { makeFolder } from '../../make-folder.js';
import { InputError } from '../../errors.js';
import { fileBytes } from '../byte-source.js';
import { blobPath, snapshotPath } from './cache.js';
import { refused } from './open-repository.js';
import type { Repository, RepositoryFile } from './repository.js';
import { backOff, causeOf, MAX_ATTEMPTS } from './request.js';

/** A body that brings nothing for this long is given up, and asked for again from where it stopped. */
const STALL_TIMEOUT = 60_000;

/** Bytes hashed at once. */
const HASHED_BYTES = 4 << 20;

export interface DownloadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file that are there, as they come. */
  readonly onProgress?: ((file: RepositoryFile, bytes: number) => void) | undefined;
}

/**
 * A file's path in the cache, downloaded first where it is missing. A blob gets its name only once its size and hash are
 * right; a cut connection goes on where it stopped, also from what an earlier run has left.
 *
 * @throws InputError when the file cannot be had, or stays wrong
 */
export async function downloadFile(
  repository: Repository,
  file: RepositoryFile,
  options: DownloadOptions = {},
): Promise<string> {
  const link = snapshotPath(repository, file.path);
  if (repository.settings.offline) {
    if ((await sizeOf(link)) !== null) return link;
    throw new InputError(
      `Cannot read "${file.path}" of "${repository.id}": HF_HUB_OFFLINE is set and the cache lacks it`,
    );
  }
  const blob = blobPath(repository, file.oid);
  if ((await sizeOf(blob)) !== file.size) {
    await makeFolder(dirname(blob));
    const partial = await adoptPartial(blob);
    await fill(repository, file, partial, options);
    await rename(partial, blob);
  }
  if ((await sizeOf(link)) !== file.size) await linkBlob(blob, link);
  return link;
}

/** The cached path of a file, where the cache has it whole. */
export async function cachedFile(repository: Repository, file: RepositoryFile): Promise<string | null> {
  const link = snapshotPath(repository, file.path);
  const size = await sizeOf(link);
  return size !== null && (file.size < 0 || size === file.size) ? link : null;
}

async function sizeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}

/** Own name per process; what a process that is gone has left is taken over. */
async function adoptPartial(blob: string): Promise<string> {
  const own = `${blob}.${process.pid}.incomplete`;
  for (const name of await readdir(dirname(blob))) {
    const owner = name.startsWith(`${basename(blob)}.`) ? /\.(\d+)\.incomplete$/u.exec(name)?.[1] : undefined;
    if (owner === undefined || isRunning(Number(owner))) continue;
    await rename(join(dirname(blob), name), own).catch(() => undefined);
  }
  return own;
}

function isRunning(pid: number): boolean {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

async function fill(
  repository: Repository,
  file: RepositoryFile,
  partial: string,
  options: DownloadOptions,
): Promise<void> {
  let problem = '';
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    if (attempt > 1) await sleep(backOff(attempt - 1, repository.settings.retryDelay), undefined, signalOf(options));
    try {
      await fetchRest(repository, file, partial, options);
    } catch (error) {
      if (error instanceof InputError || options.signal?.aborted === true) throw error;
      problem = causeOf(error);
      continue;
    }
    const size = (await sizeOf(partial)) ?? 0;
    if (size < file.size) {
      problem = `wanted ${file.size} bytes, got ${size}`;
      continue;
    }
    const oid = await hashOf(partial, file);
    if (size === file.size && oid === file.oid) return;
    problem =
      size === file.size ? `wanted ${file.hash} ${file.oid}, got ${oid}` : `wanted ${file.size} bytes, got ${size}`;
    await rm(partial, { force: true });
  }
  throw new InputError(`Cannot download "${file.path}" of "${repository.id}": ${problem}, in ${MAX_ATTEMPTS} attempts`);
}

/** One request for what is missing, appended to the partial file. */
async function fetchRest(
  repository: Repository,
  file: RepositoryFile,
  partial: string,
  { signal, onProgress }: DownloadOptions,
): Promise<void> {
  const offset = Math.min((await sizeOf(partial)) ?? 0, file.size);
  if (offset === file.size && file.size > 0) return;
  const stalled = new AbortController();
  const signals = [stalled.signal, ...(signal === undefined ? [] : [signal])];
  const response = await repository.fetch(resolveUrl(repository, file.path), {
    headers: { 'accept-encoding': 'identity', ...(offset > 0 ? { range: `bytes=${offset}-` } : {}) },
    signal: AbortSignal.any(signals),
  });
  if (!response.ok) throw await refused(response, repository);
  const resumed =
    response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${offset}-`) === true;
  const handle = await open(partial, resumed ? 'a' : 'w');
  let written = resumed ? offset : 0;
  let timer = setTimeout(() => stalled.abort(), STALL_TIMEOUT);
  try {
    for await (const chunk of response.body ?? []) {
      clearTimeout(timer);
      timer = setTimeout(() => stalled.abort(new Error(`no data for ${STALL_TIMEOUT / 1000} s`)), STALL_TIMEOUT);
      await handle.appendFile(chunk);
      written += chunk.length;
      if (written > file.size) break;
      onProgress?.(file, written);
    }
    await handle.sync();
  } finally {
    clearTimeout(timer);
    await handle.close();
  }
}

export function resolveUrl({ type, id, sha, settings }: Repository, path: string): string {
  const prefix = type === 'dataset' ? 'datasets/' : '';
  return `${settings.endpoint}/${prefix}${id}/resolve/${sha}/${path.split('/').map(encodeURIComponent).join('/')}`;
}

async function hashOf(path: string, file: RepositoryFile): Promise<string> {
  const hash = createHash(file.hash === 'sha256' ? 'sha256' : 'sha1');
  // Git hashes a blob with its kind and length before it.
  if (file.hash === 'git-sha1') hash.update(`blob ${file.size}\0`);
  const bytes = await fileBytes(path);
  try {
    for (let at = 0; at < bytes.byteLength; at += HASHED_BYTES) {
      hash.update(await bytes.slice(at, Math.min(at + HASHED_BYTES, bytes.byteLength)));
    }
  } finally {
    await bytes.close();
  }
  return hash.digest('hex');
}

async function linkBlob(blob: string, link: string): Promise<void> {
  await makeFolder(dirname(link));
  const temporary = `${link}.${process.pid}.partial`;
  await rm(temporary, { force: true });
  try {
    await symlink(relative(dirname(link), blob), temporary);
  } catch {
    // File systems without links (and Windows without the right to make them) get a copy, as in Python.
    await copyFile(blob, temporary);
  }
  await rename(temporary, link);
}

function signalOf({ signal }: DownloadOptions) {
  return signal === undefined ? {} : { signal };
}
