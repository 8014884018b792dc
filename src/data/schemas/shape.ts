import type { Json, JsonObject } from '../sample.js';
import { describeValue, isRecord } from '../row.js';

export type Path = readonly (string | number)[];

/** A value in a row that is not as wanted; whoever knows the row makes an InputError of it. */
export class RowProblem extends Error {
  override readonly name = 'RowProblem';
  readonly path: Path;

  constructor(path: Path, message: string) {
    super(path.length === 0 ? message : `${path.join('.')}: ${message}`);
    this.path = path;
  }
}

export function wrong(path: Path, wanted: string, got: unknown): never {
  throw new RowProblem(path, `wanted ${wanted}, got ${describeValue(got)}`);
}

export function isAbsent(value: unknown): value is null | undefined {
  return value === null || value === undefined;
}

export function asText(value: unknown, path: Path): string {
  return typeof value === 'string' ? value : wrong(path, 'a string', value);
}

/** A string, or null where the value is absent. */
export function asOptionalText(value: unknown, path: Path): string | null {
  return isAbsent(value) ? null : asText(value, path);
}

/** The members of an object; of a JSON string that holds one, too. */
export function asRecord(value: unknown, path: Path): Readonly<Record<string, unknown>> {
  const decoded = decodeJson(value);
  return isRecord(decoded) ? decoded : wrong(path, 'an object', value);
}

/** A list; of a JSON string that holds one, too. */
export function asList(value: unknown, path: Path): readonly unknown[] {
  const decoded = decodeJson(value);
  return Array.isArray(decoded) ? decoded : wrong(path, 'a list', value);
}

/** A string that holds a JSON list or object, parsed; anything else as it is. */
export function decodeJson(value: unknown): unknown {
  if (typeof value !== 'string' || !/^\s*[[{]/u.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

/** Deeper nesting is an attack on the stack of whatever renders or prints the value. */
const MAX_DEPTH = 64;

/** A value of any storage as JSON: 64-bit integers and dates become what JSON has for them. */
export function toJson(value: unknown, path: Path, columnar: boolean, depth = 0): Json {
  if (depth > MAX_DEPTH) throw new RowProblem(path, `nested deeper than ${MAX_DEPTH} levels`);
  if (isAbsent(value)) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (typeof value === 'bigint') return Number.isSafeInteger(Number(value)) ? Number(value) : value.toString();
  if (value instanceof Date) return value.toISOString();
  if (ArrayBuffer.isView(value)) return wrong(path, 'JSON', 'bytes');
  if (Array.isArray(value)) return value.map((item, index) => toJson(item, [...path, index], columnar, depth + 1));
  return typeof value === 'object' ? toJsonObject(value, path, columnar, depth) : wrong(path, 'JSON', value);
}

export function toJsonObject(value: object, path: Path, columnar: boolean, depth = 0): JsonObject {
  const members = Object.entries(value).filter(([, member]) => !(columnar && isAbsent(member)));
  return Object.fromEntries(members.map(([key, member]) => [key, toJson(member, [...path, key], columnar, depth + 1)]));
}
