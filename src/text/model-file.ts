import { readFile } from 'node:fs/promises';
import { InputError } from '../errors.js';
import type { Json } from '../data/sample.js';

/** A side file of a model as parsed, before anything is known about it. */
export type JsonRecord = Readonly<Record<string, Json | undefined>>;

/** The text of a file, or null where there is none; any other failure is the caller's to see. */
export async function readIfPresent(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return null;
    throw new InputError(`Cannot read "${path}": ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

export function parseJsonObject(text: string, path: string): JsonRecord {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new InputError(`Cannot parse "${path}" as JSON: ${error instanceof Error ? error.message : String(error)}`, {
      location: { file: path },
      cause: error,
    });
  }
  if (!isRecord(value))
    throw new InputError(`Cannot use "${path}": wanted a JSON object`, { location: { file: path } });
  return value;
}

export function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** tokenizer_config.json writes a special token as a string, or as an object with `content`. */
export function specialTokenText(value: unknown): string | null {
  if (typeof value === 'string') return value;
  return isRecord(value) && typeof value['content'] === 'string' ? value['content'] : null;
}
