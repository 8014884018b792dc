import { rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../../make-folder.js';
import { InputError } from '../../errors.js';
import type { Repository } from './repository.js';

/**
 * The cache as Python's huggingface_hub lays it out, so that both use one:
 *
 *     datasets--org--name/refs/main                       commit of a branch
 *     datasets--org--name/blobs/<hash>                    content
 *     datasets--org--name/snapshots/<commit>/data/x.parquet → ../../../blobs/<hash>
 */
type Place = Pick<Repository, 'type' | 'id' | 'settings'>;

function repositoryPath({ type, id, settings }: Place): string {
  return join(settings.cacheDirectory, [`${type}s`, ...id.split('/')].join('--'));
}

export function refPath(repository: Place, revision: string): string {
  if (revision.split('/').some((part) => part === '' || /^\.+$/u.test(part)) || /[\\\0:]/u.test(revision)) {
    throw new InputError(`Cannot read "${repository.id}": "${revision}" is no revision`);
  }
  return join(repositoryPath(repository), 'refs', revision);
}

export function blobPath(repository: Place, oid: string): string {
  return join(repositoryPath(repository), 'blobs', oid);
}

export function snapshotPath(repository: Place & Pick<Repository, 'sha'>, path = ''): string {
  return join(repositoryPath(repository), 'snapshots', repository.sha, path);
}

/** Remembers which commit a branch or tag was, for offline use. */
export async function writeRef(repository: Place & Pick<Repository, 'revision'>, sha: string): Promise<void> {
  if (repository.revision === sha) return;
  const path = refPath(repository, repository.revision);
  try {
    await makeFolder(dirname(path));
    await writeFile(`${path}.${process.pid}.partial`, sha);
    await rename(`${path}.${process.pid}.partial`, path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(`Cannot write to the cache "${repository.settings.cacheDirectory}": ${reason}`, {
      cause: error,
    });
  }
}
