import type { HubOptions } from './hub/settings.js';

/** A source as a recipe names it; the keys are the recipe's, in camel case. */
export interface SourceSpec {
  /** `builtin:NAME`, a file or folder, or a Hub id, `org/name[@revision]`. */
  readonly dataset: string;
  /** What the samples' origin is called; else `dataset`. */
  readonly name?: string | undefined;
  readonly revision?: string | undefined;
  readonly subset?: string | undefined;
  readonly split?: string | undefined;
  /** The columns to take the content from, in the order their schema wants them. */
  readonly columns?: readonly string[] | undefined;
  /** A schema's name; `auto` (the default) goes by the rows' inner keys. */
  readonly format?: string | undefined;
  /** How many rows to draw, by seed; `all` (the default) reads every row in order. */
  readonly samples?: number | 'all' | undefined;
  /** Of rows that declare none. */
  readonly language?: string | undefined;
  readonly category?: string | undefined;
  readonly license?: string | undefined;
  /** Rows that no schema can take: end the reading, or pass over them and report each. */
  readonly onError?: 'fail' | 'skip' | undefined;
}

export interface ReadSourceOptions {
  /** Draws of `samples`; the same seed draws the same rows. */
  readonly seed: number;
  /** Relative paths start here; else at the working directory. */
  readonly baseDirectory?: string | undefined;
  readonly hub?: HubOptions | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: SourceEvent) => void) | undefined;
}

export type SourceEvent =
  | {
      readonly type: 'opened';
      readonly source: string;
      readonly revision: string | null;
      readonly license: string | null;
      readonly files: readonly string[];
    }
  | { readonly type: 'note'; readonly message: string }
  | {
      readonly type: 'download';
      readonly source: string;
      readonly file: string;
      readonly bytes: number;
      readonly totalBytes: number;
    }
  | {
      /** A row that `onError: 'skip'` passed over. */
      readonly type: 'skipped';
      readonly source: string;
      readonly place: string;
      readonly reason: string;
    };
