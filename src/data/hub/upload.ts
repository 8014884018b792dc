import { readdir } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { pathToFileURL } from 'node:url';
import { commitIter, createRepo, HubApiError, repoExists } from '@huggingface/hub';
import { InputError } from '../../errors.js';
import { messageOf } from '../row.js';
import { parseHubId } from './open-repository.js';
import type { RepositoryType } from './repository.js';
import { createHubFetch } from './request.js';
import { hubSettings, type HubOptions } from './settings.js';

export interface UploadOptions extends HubOptions {
  readonly type?: RepositoryType | undefined;
  readonly branch?: string | undefined;
  readonly private?: boolean | undefined;
  readonly title?: string | undefined;
  readonly description?: string | undefined;
  /** Which files of the folder; by their path within it, with slashes. All but hidden ones when left out. */
  readonly include?: ((path: string) => boolean) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type UploadEvent =
  | { readonly type: 'created'; readonly id: string }
  | {
      readonly type: 'file';
      readonly path: string;
      readonly state: 'hashing' | 'uploading';
      readonly progress: number;
    };

export interface Uploaded {
  readonly id: string;
  readonly url: string;
  /** The commit. */
  readonly revision: string;
}

/**
 * Uploads a folder as one commit, making the repository where it does not exist. Files go through LFS or Xet as the Hub
 * says; what it has already is not sent again.
 *
 * @throws InputError without a token that may write, or when the Hub refuses
 */
export async function* uploadFolder(
  repository: string,
  folder: string,
  options: UploadOptions = {},
): AsyncGenerator<UploadEvent, Uploaded> {
  const settings = hubSettings(options);
  const parsed = parseHubId(repository);
  if (parsed?.id.includes('/') !== true)
    throw new InputError(`Cannot push to "${repository}": wanted org/name[@branch]`);
  if (settings.token === null) throw new InputError(`Cannot push to "${repository}": HF_TOKEN is not set`);
  const type = options.type ?? 'model';
  const files = await filesOf(folder, options.include);
  if (files.length === 0) throw new InputError(`Cannot push "${folder}": it has no files`);
  const repo = { type, name: parsed.id };
  const common = {
    repo,
    hubUrl: settings.endpoint,
    fetch: createHubFetch(settings, options.signal),
    accessToken: settings.token,
  };
  try {
    if (!(await repoExists(common))) {
      await createRepo({ ...common, visibility: options.private === false ? 'public' : 'private' });
      yield { type: 'created', id: parsed.id };
    }
    const events = commitIter({
      ...common,
      title: options.title ?? 'Upload with Evenkeel',
      branch: options.branch ?? parsed.revision ?? 'main',
      operations: files.map((path) => ({
        operation: 'addOrUpdate',
        path,
        content: pathToFileURL(join(folder, path)),
      })),
      ...(options.description === undefined ? {} : { description: options.description }),
      ...(options.signal === undefined ? {} : { abortSignal: options.signal }),
    });
    for (;;) {
      const step = await events.next();
      if (step.done === true) {
        const revision = step.value?.commit.oid;
        if (revision === undefined) throw new InputError(`Cannot push to "${repository}": the Hub named no commit`);
        return {
          id: parsed.id,
          url: `${settings.endpoint}/${type === 'dataset' ? 'datasets/' : ''}${parsed.id}`,
          revision,
        };
      }
      const { value } = step;
      if (value.event === 'fileProgress' && value.state !== 'error') {
        yield { type: 'file', path: value.path, state: value.state, progress: value.progress };
      }
    }
  } catch (error) {
    if (error instanceof InputError || options.signal?.aborted === true) throw error;
    const denied = error instanceof HubApiError && (error.statusCode === 401 || error.statusCode === 403);
    const advice = denied ? '; does the token of HF_TOKEN have the right to write there?' : '';
    throw new InputError(`Cannot push to "${repository}": ${messageOf(error)}${advice}`, { cause: error });
  }
}

async function filesOf(folder: string, include: UploadOptions['include']): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw new InputError(`Cannot push "${folder}": ${messageOf(error)}`, { cause: error });
  });
  return entries
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, sep).length).replaceAll(sep, '/'))
    .filter((path) => include?.(path) ?? !path.split('/').some((part) => part.startsWith('.')))
    .sort((a, b) => (a < b ? -1 : 1));
}
