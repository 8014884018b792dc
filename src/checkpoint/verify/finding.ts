/** What a verification can find wrong. */
export type Check =
  | 'folder'
  | 'config'
  | 'index'
  | 'packing'
  | 'scales'
  | 'source'
  | 'leftover'
  | 'experts'
  | 'ignore'
  | 'side-files';

export interface Finding {
  readonly check: Check;
  /** Tensor, module or file. */
  readonly subject: string;
  readonly message: string;
}
