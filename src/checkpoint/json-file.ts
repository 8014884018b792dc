import { readFileSync, statSync } from 'node:fs';
import { InputError, type Location } from '../errors.js';
import { messageOf } from './system-error.js';

export type JsonObject = Readonly<Record<string, unknown>>;

/** The largest index in the wild (about 500,000 tensors) is some 60 MB. */
const MAX_JSON_BYTES = 256 * 2 ** 20;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Parses a JSON file whose top level must be an object; throws InputError with line and column. */
export function readJsonObject(path: string): JsonObject {
  return parseJsonObject(readJsonText(path), path);
}

/** The text of a JSON file of bounded size. */
export function readJsonText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MAX_JSON_BYTES) {
      throw new InputError(`read JSON '${path}': wanted at most ${MAX_JSON_BYTES} bytes, got ${size}`);
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw new InputError(`read JSON '${path}': ${messageOf(error)}`, { cause: error });
  }
}

/** `readJsonObject` for text that is already in memory; `file` names it in errors. */
export function parseJsonObject(text: string, file: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    // The engine quotes the text around the error, line breaks and all.
    const message = messageOf(error).replace(/\s+/g, ' ');
    throw new InputError(`parse JSON: ${message}`, { location: jsonErrorLocation(file, text, message), cause: error });
  }
  if (!isJsonObject(value)) {
    throw new InputError(`parse JSON '${file}': wanted an object at the top level, got ${describeJson(value)}`);
  }
  return value;
}

/** What kind of value this is, in JSON's own words. */
export function describeJson(value: unknown): string {
  if (value === null) return 'null';
  if (value === undefined) return 'nothing';
  return Array.isArray(value) ? 'an array' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function jsonErrorLocation(file: string, text: string, message: string): Location {
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position === undefined) return { file };
  const before = text.slice(0, Number(position));
  return { file, line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
}
