import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { InputError } from '../../errors.js';
import { isInterruption, messageOf } from '../row.js';
import { refPath, snapshotPath, writeRef } from './cache.js';
import { createHubFetch } from './request.js';
import type { Repository, RepositoryFile, RepositoryType } from './repository.js';
import type { HubSettings } from './settings.js';

/** A repository with this many files is listed; more is a runaway listing. */
const MAX_FILES = 200_000;

const COMMIT = /^[0-9a-f]{40}$/u;

const revisionInfo = z.looseObject({
  sha: z.string().regex(COMMIT),
  cardData: z
    .looseObject({ license: z.union([z.string(), z.array(z.string())]).nullish() })
    .nullish()
    .catch(null),
});

/** `org/name` or `org/name@revision`, taken apart; null for what is no Hub id. */
export function parseHubId(text: string): { readonly id: string; readonly revision: string | null } | null {
  const match = /^([\w.-]+(?:\/[\w.-]+)?)(?:@([\w./-]+))?$/u.exec(text);
  const id = match?.[1];
  if (id === undefined || id.split('/').some((part) => /^\.+$/u.test(part))) return null;
  return { id, revision: match?.[2] ?? null };
}

/**
 * Resolves a revision to its commit: on the Hub, or, offline, from what the cache remembers.
 *
 * @throws InputError when there is no such repository or revision, or no access to it
 */
export async function openRepository(
  type: RepositoryType,
  id: string,
  revision: string,
  settings: HubSettings,
  signal?: AbortSignal,
): Promise<Repository> {
  const common = { type, id, revision, settings, fetch: createHubFetch(settings, signal) };
  if (settings.offline) {
    return { ...common, sha: await cachedCommit(type, id, revision, settings), license: null };
  }
  const url = `${settings.endpoint}/api/${type}s/${id}/revision/${encodeURIComponent(revision)}`;
  const response = await common.fetch(url);
  if (!response.ok) throw await refused(response, common);
  const info = revisionInfo.safeParse(await response.json().catch(() => null));
  if (!info.success) throw new InputError(`Cannot read ${type} "${id}": "${url}" did not answer with a commit`);
  const { sha, cardData } = info.data;
  await writeRef(common, sha);
  const license = cardData?.license ?? null;
  return { ...common, sha, license: Array.isArray(license) ? license.join(' AND ') : license };
}

/** The files of a commit, with sizes and content hashes; offline, those that the cache has. */
export async function listRepository(repository: Repository): Promise<RepositoryFile[]> {
  if (repository.settings.offline) return listCached(repository);
  const { type, id, sha, settings } = repository;
  // Loaded only here: most runs read nothing from the Hub.
  const { HubApiError, listFiles } = await import('@huggingface/hub');
  const files: RepositoryFile[] = [];
  try {
    const entries = listFiles({
      repo: { type, name: id },
      revision: sha,
      recursive: true,
      hubUrl: settings.endpoint,
      fetch: repository.fetch,
    });
    for await (const { type: kind, path, size, oid, lfs } of entries) {
      if (kind !== 'file') continue;
      if (files.length >= MAX_FILES) throw new InputError(`Cannot list "${id}": it has more than ${MAX_FILES} files`);
      checkPath(path, id);
      if (lfs !== undefined) files.push({ path, size: lfs.size, oid: checkHash(lfs.oid, 64, path), hash: 'sha256' });
      else files.push({ path, size, oid: checkHash(oid ?? '', 40, path), hash: 'git-sha1' });
    }
  } catch (error) {
    if (error instanceof InputError || isInterruption(error)) throw error;
    const reason = error instanceof HubApiError ? `status ${error.statusCode}, ${error.message}` : messageOf(error);
    throw new InputError(`Cannot list ${type} "${id}": ${reason}`, { cause: error });
  }
  return files;
}

/** Names become paths on this machine. */
export function checkPath(path: string, id: string): void {
  const parts = path.split('/');
  if (parts.some((part) => part === '' || part === '.' || part === '..') || /[\\\0:]/u.test(path)) {
    throw new InputError(`Cannot read "${id}": it has a file named "${path}"`);
  }
}

function checkHash(oid: string, length: number, path: string): string {
  const plain = oid.replace(/^sha256:/u, '');
  if (plain.length === length && /^[0-9a-f]+$/u.test(plain)) return plain;
  throw new InputError(`Cannot read "${path}": the Hub lists it with the hash "${oid}"`);
}

async function cachedCommit(
  type: RepositoryType,
  id: string,
  revision: string,
  settings: HubSettings,
): Promise<string> {
  if (COMMIT.test(revision)) return revision;
  const path = refPath({ type, id, settings }, revision);
  const sha = await readFile(path, 'utf8').catch(() => null);
  if (sha !== null && COMMIT.test(sha.trim())) return sha.trim();
  throw new InputError(
    `Cannot read ${type} "${id}" at "${revision}": HF_HUB_OFFLINE is set and "${settings.cacheDirectory}" does not have it`,
  );
}

async function listCached(repository: Repository): Promise<RepositoryFile[]> {
  const folder = snapshotPath(repository);
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) =>
      join(entry.parentPath, entry.name)
        .slice(folder.length + 1)
        .replaceAll('\\', '/'),
    )
    .map((path) => ({ path, size: -1, oid: '', hash: 'git-sha1' }));
}

/** What a refusal means and what to do about it. */
export async function refused(
  response: Response,
  { type, id, revision, settings }: Pick<Repository, 'type' | 'id' | 'revision' | 'settings'>,
): Promise<InputError> {
  const { status } = response;
  const code = response.headers.get('x-error-code');
  const said = response.headers.get('x-error-message') ?? '';
  await response.body?.cancel();
  const page = `${settings.endpoint}/${type === 'dataset' ? 'datasets/' : ''}${id}`;
  const reason =
    code === 'GatedRepo' || (status === 403 && code !== 'RepoNotFound')
      ? `access is restricted; accept its terms at ${page}${settings.token === null ? ' and set HF_TOKEN' : ''}`
      : code === 'RevisionNotFound'
        ? `it has no revision "${revision}"`
        : status === 401
          ? `it does not exist, or is private and ${settings.token === null ? 'HF_TOKEN is not set' : 'HF_TOKEN may not read it'}`
          : status === 404
            ? `no such ${type}, or no revision "${revision}"`
            : `the Hub answered ${status}${said === '' ? '' : ` (${said})`}`;
  return new InputError(`Cannot read ${type} "${id}": ${reason}`);
}
