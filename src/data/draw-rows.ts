import type { ResolvedSource } from './resolved-source.js';
import type { Row, RowFile } from './row.js';
import { createRandom, drawFromStream, drawIndices } from './sampling.js';

/** A row with the file it is from, as one draw spans all files of a source. */
export interface DrawnRow {
  readonly row: Row;
  readonly file: RowFile;
}

export interface DrawOptions {
  readonly samples: number | 'all';
  readonly seed: number;
  /** Names the random stream, so that two sources of one recipe are drawn independently. */
  readonly stream: string;
  /** The columns to read of a file, found from its first row; null reads all. */
  readonly columns: (file: RowFile) => Promise<readonly string[] | null>;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Rows of a source: all in order, or `samples` of them drawn evenly over all files, in order. Where every file knows its
 * row count, only the drawn rows' parts are read; else the files are streamed and a reservoir keeps the rows.
 */
export async function* drawRows(source: ResolvedSource, options: DrawOptions): AsyncGenerator<DrawnRow> {
  const { samples } = options;
  if (samples === 'all') {
    yield* everyRow(source, options);
    return;
  }
  const random = createRandom(options.seed, options.stream);
  const counts = await countRows(source);
  if (counts === null) {
    yield* await drawFromStream(everyRow(source, options), samples, random);
    return;
  }
  const drawn = drawIndices(
    samples,
    counts.reduce((sum, count) => sum + count, 0),
    random,
  );
  let before = 0;
  let cursor = 0;
  for (const [at, count] of counts.entries()) {
    const selection: number[] = [];
    for (; (drawn[cursor] ?? Number.POSITIVE_INFINITY) < before + count; cursor++) {
      selection.push((drawn[cursor] ?? 0) - before);
    }
    before += count;
    if (selection.length > 0) yield* rowsOf(source, at, selection, options);
  }
}

async function* everyRow(source: ResolvedSource, options: DrawOptions): AsyncGenerator<DrawnRow> {
  for (const at of source.files.keys()) yield* rowsOf(source, at, null, options);
}

async function* rowsOf(
  source: ResolvedSource,
  at: number,
  selection: readonly number[] | null,
  options: DrawOptions,
): AsyncGenerator<DrawnRow> {
  const file = await source.files[at]?.open();
  if (file === undefined) return;
  try {
    const columns = await options.columns(file);
    for await (const row of file.rows({ selection, columns, signal: options.signal })) yield { row, file };
  } finally {
    await file.close();
  }
}

/** Row counts of all files; null as soon as one does not know its own. */
async function countRows(source: ResolvedSource): Promise<number[] | null> {
  const counts: number[] = [];
  for (const { open } of source.files) {
    const file = await open();
    await file.close();
    if (file.rowCount === null) return null;
    counts.push(file.rowCount);
  }
  return counts;
}
