import type { RowFile } from './row.js';

/** A source found: its files, not opened yet, and what is known of all its rows. */
export interface ResolvedSource {
  /** The commit, of a source on the Hub. */
  readonly revision: string | null;
  readonly license: string | null;
  readonly files: readonly SourceFile[];
  /** What should be known of how the files were chosen. */
  readonly note?: string;
}

export interface SourceFile {
  readonly name: string;
  readonly open: () => Promise<RowFile>;
}
