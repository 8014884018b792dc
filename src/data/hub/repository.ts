import type { HubSettings } from './settings.js';

export type RepositoryType = 'model' | 'dataset';

/** A repository at one commit. */
export interface Repository {
  readonly type: RepositoryType;
  readonly id: string;
  /** As asked for: a branch, a tag, a commit. */
  readonly revision: string;
  /** The commit. */
  readonly sha: string;
  readonly license: string | null;
  readonly settings: HubSettings;
  readonly fetch: typeof fetch;
}

export interface RepositoryFile {
  readonly path: string;
  readonly size: number;
  /** Content hash, the name of the blob in the cache: SHA-256 for LFS files, else git's SHA-1. */
  readonly oid: string;
  readonly hash: 'sha256' | 'git-sha1';
}
