import { InputError, InterruptedError } from '../errors.js';

/** A row as its storage holds it, before any schema; keys are columns. */
export type RowValue = Readonly<Record<string, unknown>>;

export interface Row {
  /** Position in its file, from 0. */
  readonly index: number;
  /** `file:line` where the storage has lines, else `row N of "file"`. */
  readonly place: string;
  /** Parsed on demand, so that rows a draw passes over cost nothing. Throws InputError when the row is ill-formed. */
  readonly value: () => RowValue;
}

/** One file of rows. */
export interface RowFile {
  readonly name: string;
  /** null where only reading to the end tells. */
  readonly rowCount: number | null;
  /** Column names, where the storage declares them. */
  readonly columns: readonly string[] | null;
  /** Whether a missing value is stored as null in every struct (Parquet, Arrow), so that null says nothing. */
  readonly columnar: boolean;
  /** Rows in order: all, or those of `selection`. */
  rows(options: RowsOptions): AsyncIterable<Row>;
  close(): Promise<void>;
}

export interface RowsOptions {
  /** Ascending row numbers; null takes all. Only for files with a known `rowCount`. */
  readonly selection: readonly number[] | null;
  /** Columns to read; null reads all. Columns that the file lacks are ignored. */
  readonly columns: readonly string[] | null;
  readonly signal?: AbortSignal | undefined;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

export function rowPlace(file: string, index: number): string {
  return `row ${index} of "${file}"`;
}

/** What kind of value this is, quoted where it is short. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (typeof value === 'string') return value.length <= 40 ? JSON.stringify(value) : 'a string';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Runs code of a reader of untrusted bytes; whatever it throws becomes an InputError that names the file. */
export async function reading<T>(name: string, read: () => Promise<T> | T): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw asInputError(name, error);
  }
}

export function asInputError(name: string, error: unknown): unknown {
  if (error instanceof InputError || isInterruption(error)) return error;
  return new InputError(`Cannot read "${name}": ${messageOf(error)}`, { cause: error });
}

/** What an AbortSignal ends reading with; never a fault of the file. */
export function isInterruption(error: unknown): boolean {
  return error instanceof InterruptedError || (error instanceof Error && error.name === 'AbortError');
}
