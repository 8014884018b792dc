import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { fileBytes } from '../data/byte-source.js';
import { openParquet } from '../data/storage/parquet.js';
import { InputError } from '../errors.js';
import { channelIndex } from '../text/channel.js';
import { canonicalLanguage } from '../text/language-tag.js';
import { readIfPresent } from '../text/model-file.js';
import { NO_CATEGORY } from './prepare.js';
import type { Mix, MixManifest, Sequence } from './sequence.js';
import { MANIFEST_FILE, PARQUET_FILE } from './write.js';

const tokenIds = z.array(z.int().min(0)).min(1);

const storedRow = z.object({
  input_ids: tokenIds,
  channels: z.array(z.int().min(0)),
  language: z.string(),
  category: z.string(),
  source: z.string(),
  revision: z.string().nullable(),
  license: z.string().nullable(),
  record_id: z.string(),
  window: z.int().min(0),
});

const bareRow = z.object({
  input_ids: tokenIds,
  language: z.string().nullish(),
  category: z.string().nullish(),
  id: z.union([z.string(), z.number()]).nullish(),
});

const manifest = z.looseObject({
  schema: z.literal('evenkeel.manifest/1'),
  version: z.string(),
  seed: z.number(),
  sequences: z.int(),
  tokens: z.int(),
  tokenizer: z.object({ kind: z.string(), sha256: z.string() }),
  chatTemplate: z.object({ sha256: z.string() }).nullable(),
  sources: z.array(
    z.object({
      source: z.string(),
      revision: z.string().nullable(),
      license: z.string().nullable(),
      wanted: z.union([z.number(), z.literal('all')]).nullable(),
      read: z.int(),
      kept: z.int(),
      tokens: z.int(),
      dropped: z.record(z.string(), z.int()),
    }),
  ),
});

/**
 * Reads a mix folder, or a JSONL file whose rows hold `input_ids` (and may name `language` and `category`), used as they
 * are.
 *
 * @throws InputError when the path is neither, when a folder has no manifest (its writing did not end), or a row is wrong
 */
export async function readMix(path: string): Promise<Mix> {
  const kind = await kindOf(path);
  if (kind === 'file') return { sequences: await readTokenLines(path), manifest: null };
  const text = await readIfPresent(join(path, MANIFEST_FILE));
  if (text === null) {
    throw new InputError(
      `Cannot read the mix "${path}": it has no ${MANIFEST_FILE}; is it a mix folder, and did its build end?`,
    );
  }
  const parsed = parseManifest(text, join(path, MANIFEST_FILE));
  const sequences = await readParquet(join(path, PARQUET_FILE));
  if (sequences.length !== parsed.sequences) {
    throw new InputError(
      `Cannot read the mix "${path}": the manifest counts ${parsed.sequences} sequences, ${PARQUET_FILE} holds ${sequences.length}`,
    );
  }
  return { sequences, manifest: parsed };
}

/** Whether the path is a folder that a build wrote, or is writing. */
export async function isMixFolder(path: string): Promise<boolean> {
  return (await kindOf(path)) === 'folder' && (await readIfPresent(join(path, MANIFEST_FILE))) !== null;
}

async function kindOf(path: string): Promise<'file' | 'folder'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    throw new InputError(`Cannot read the mix "${path}": there is no such file or folder`, { cause: error });
  }
}

function parseManifest(text: string, path: string): MixManifest {
  try {
    return manifest.parse(JSON.parse(text));
  } catch (error) {
    throw new InputError(`Cannot read "${path}": ${reason(error)}`, { location: { file: path }, cause: error });
  }
}

async function readParquet(path: string): Promise<Sequence[]> {
  const file = await openParquet(await fileBytes(path));
  const sequences: Sequence[] = [];
  try {
    for await (const row of file.rows({ selection: null, columns: Object.keys(storedRow.shape) })) {
      const result = storedRow.safeParse(row.value());
      if (!result.success) throw new InputError(`Cannot read row ${row.index} of "${path}": ${reason(result.error)}`);
      const { input_ids, channels, record_id, ...rest } = result.data;
      if (channels.length !== input_ids.length) {
        throw new InputError(
          `Cannot read row ${row.index} of "${path}": ${input_ids.length} input_ids, but ${channels.length} channels`,
        );
      }
      sequences.push({
        ...rest,
        inputIds: Int32Array.from(input_ids),
        channels: Uint8Array.from(channels),
        recordId: record_id,
      });
    }
  } finally {
    await file.close();
  }
  return sequences;
}

async function readTokenLines(path: string): Promise<Sequence[]> {
  const sequences: Sequence[] = [];
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text.trim() === '') continue;
    sequences.push(tokenLine(text, path, line));
  }
  if (sequences.length === 0) throw new InputError(`Cannot read the mix "${path}": it has no rows`);
  return sequences;
}

function tokenLine(text: string, path: string, line: number): Sequence {
  const location = { file: path, line };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`Cannot parse the row as JSON: ${reason(error)}`, { location, cause: error });
  }
  const row = bareRow.safeParse(value);
  if (!row.success) throw new InputError(`Cannot use the row: ${reason(row.error)}`, { location });
  const { input_ids, language, category, id } = row.data;
  return {
    inputIds: Int32Array.from(input_ids),
    channels: new Uint8Array(input_ids.length).fill(channelIndex('text')),
    language: language === null || language === undefined ? 'und' : canonicalLanguage(language),
    category: category ?? NO_CATEGORY,
    source: path,
    revision: null,
    license: null,
    recordId: id === null || id === undefined ? String(line) : String(id),
    window: 0,
  };
}

/** Whether a file's first row holds `input_ids`: then {@link readMix} takes it, else a source reads it as samples. */
export async function holdsTokenIds(path: string): Promise<boolean> {
  for await (const text of createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (text.trim() === '') continue;
    return /"input_ids"\s*:/u.test(text);
  }
  return false;
}

function reason(error: unknown): string {
  if (error instanceof z.ZodError) {
    const [issue] = error.issues;
    return issue === undefined ? error.message : `${issue.path.join('.')}: ${issue.message}`;
  }
  return error instanceof Error ? error.message : String(error);
}
