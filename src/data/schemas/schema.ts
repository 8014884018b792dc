import type { RowValue } from '../row.js';
import type { SampleContent } from '../sample.js';

/** What a schema is given of a row. */
export interface RowContext {
  readonly row: RowValue;
  /** The recipe's `columns`; null lets the schema find its own. */
  readonly columns: readonly string[] | null;
  /** The storage fills missing struct members with null, so that null means absent even within arguments. */
  readonly columnar: boolean;
}

export interface SchemaResult {
  readonly content: SampleContent;
  /** Of rows that declare none: what the schema says by itself (a trajectory of a coding agent, say). */
  readonly category?: string;
}

/** One way in which data sets write a conversation or a text. */
export interface Schema {
  readonly name: string;
  /** Whether a row is written so, judged by its inner keys. Never throws. */
  matches(context: RowContext): boolean;
  /** Columns that it reads of a row that matches; storage then reads no others. */
  columns(context: RowContext): readonly string[];
  /** Throws RowProblem for a row that is not as the schema wants it. */
  normalize(context: RowContext): SchemaResult;
}
