import { InputError } from '../errors.js';
import { drawRows } from './draw-rows.js';
import { detectSchema, normalizeRow } from './normalize.js';
import { createRecordIds, PROVENANCE_COLUMNS, provenanceOf } from './provenance.js';
import { resolveSource } from './resolve-source.js';
import type { ResolvedSource } from './resolved-source.js';
import type { Row, RowFile } from './row.js';
import type { Sample } from './sample.js';
import { schemaNamed } from './schemas/index.js';
import type { RowContext, Schema } from './schemas/schema.js';
import type { ReadSourceOptions, SourceSpec } from './source-spec.js';

/**
 * The samples of a source, whatever it is stored in and whatever schema its rows have.
 *
 * @throws InputError when the source cannot be found or read, or a row is not as its schema wants it (unless skipped)
 */
export async function* readSource(spec: SourceSpec, options: ReadSourceOptions): AsyncGenerator<Sample> {
  const { rows } = await openSource(spec, options);
  yield* rows();
}

/** A source whose files are found, and whose format is one, before any row is read. */
export interface OpenedSource {
  readonly rows: () => AsyncGenerator<Sample>;
}

/** {@link readSource} in two steps: what is wrong with the last of many sources is known before the first is read. */
export async function openSource(spec: SourceSpec, options: ReadSourceOptions): Promise<OpenedSource> {
  const schema = schemaNamed(spec.format ?? 'auto');
  const resolved = await resolveSource(spec, options);
  if (resolved.note !== undefined) options.onEvent?.({ type: 'note', message: resolved.note });
  return { rows: () => readResolved(resolved, schema, spec, options) };
}

async function* readResolved(
  resolved: ResolvedSource,
  schema: Schema | null,
  spec: SourceSpec,
  options: ReadSourceOptions,
): AsyncGenerator<Sample> {
  const source = spec.name ?? spec.dataset;
  const license = spec.license ?? resolved.license;
  options.onEvent?.({
    type: 'opened',
    source,
    revision: resolved.revision,
    license,
    files: resolved.files.map(({ name }) => name),
  });
  const recordId = createRecordIds();
  const rows = drawRows(resolved, {
    samples: spec.samples ?? 'all',
    seed: options.seed,
    stream: [source, spec.subset, spec.split].join('\u0000'),
    columns: columnFinder(schema, spec),
    signal: options.signal,
  });
  for await (const { row, file } of rows) {
    options.signal?.throwIfAborted();
    let normalized: Omit<Sample, 'origin'> & { readonly id: string | null; readonly license: string | null };
    try {
      normalized = normalize(row, file, schema, spec);
    } catch (error) {
      if (spec.onError !== 'skip' || !(error instanceof InputError)) throw error;
      options.onEvent?.({ type: 'skipped', source, place: row.place, reason: error.message });
      continue;
    }
    const { content, language, category, id } = normalized;
    yield {
      content,
      language,
      category,
      origin: {
        source,
        revision: resolved.revision,
        license: normalized.license ?? license,
        recordId: recordId(id, position(resolved, file, row)),
      },
    };
  }
}

function normalize(row: Row, file: RowFile, schema: Schema | null, spec: SourceSpec) {
  const context = contextOf(row, file, spec);
  const { content, category } = normalizeRow(schema, context, spec.dataset, row.place);
  const declared = provenanceOf(context.row);
  return {
    content,
    language: declared.language ?? spec.language ?? null,
    category: declared.category ?? spec.category ?? category ?? null,
    id: declared.id,
    license: declared.license,
  };
}

function contextOf(row: Row, file: RowFile, spec: SourceSpec): RowContext {
  const value = row.value();
  for (const column of spec.columns ?? []) {
    if (!(column in value)) {
      const got = Object.keys(value).join(', ');
      throw new InputError(`Cannot use ${row.place}: wanted the column "${column}", got ${got}`);
    }
  }
  return { row: value, columns: spec.columns ?? null, columnar: file.columnar };
}

/** What the schema of a first row reads, so that the rest of a wide table stays on the disk or the server. */
function columnFinder(schema: Schema | null, spec: SourceSpec) {
  const found = new Map<string, readonly string[] | null>();
  return async (file: RowFile): Promise<readonly string[] | null> => {
    if (file.columns === null || file.rowCount === null || file.rowCount === 0) return null;
    const key = file.columns.join('\u0000');
    const known = found.get(key);
    if (known !== undefined) return known;
    const needed = await neededColumns(file, schema, spec);
    found.set(key, needed);
    return needed;
  };
}

async function neededColumns(
  file: RowFile,
  schema: Schema | null,
  spec: SourceSpec,
): Promise<readonly string[] | null> {
  for await (const row of file.rows({ selection: [0], columns: null })) {
    try {
      const context = contextOf(row, file, spec);
      const chosen = schema ?? detectSchema(context);
      return chosen === null ? null : [...new Set([...chosen.columns(context), ...PROVENANCE_COLUMNS])];
    } catch {
      // The row itself will say what is wrong with it, if it is drawn.
      return null;
    }
  }
  return null;
}

function position(source: ResolvedSource, file: RowFile, row: Row): string {
  if (source.files.length === 1) return String(row.index);
  const name = file.name.split(/[\\/]/u).at(-1) ?? file.name;
  return `${name}:${row.index}`;
}
