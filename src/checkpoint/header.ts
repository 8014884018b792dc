import { InputError } from '../errors.js';
import { describeJson, isJsonObject, parseJsonObject } from './json-file.js';
import { DTYPE_BITS, type Dtype } from './tensor-source.js';

/** One entry of a safetensors header; the byte range counts from the start of the data, as in the file. */
export interface HeaderEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** The reference implementation's limit; the largest real header (497,000 tensors) has 60 MB. */
export const MAX_HEADER_BYTES = 100_000_000;
/** No model goes beyond 5 dimensions; more is a malformed or hostile header. */
const MAX_RANK = 16;
/** Root object, entry object, array: deeper nesting only serves to exhaust memory while parsing. */
const MAX_NESTING = 3;

/** The header's length from the first 8 bytes of the file (unsigned little-endian), checked against the limits. */
export function headerLength(prefix: Uint8Array, file: string, fileSize: number): number {
  if (fileSize < 8 || prefix.length < 8) {
    throw new InputError(`read safetensors file '${file}': wanted at least 8 bytes, got ${fileSize}`);
  }
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES) {
    throw new InputError(
      `read safetensors file '${file}': wanted a header of at most ${MAX_HEADER_BYTES} bytes, got ${length} ` +
        '(is this a safetensors file?)',
    );
  }
  if (8 + length > fileSize) {
    throw new InputError(
      `read safetensors file '${file}': the file is truncated: wanted ${8 + length} bytes for the header alone, ` +
        `got ${fileSize}`,
    );
  }
  return length;
}

/**
 * Parses and checks a safetensors header (https://github.com/huggingface/safetensors#format).
 *
 * @param json the header's bytes, without the 8-byte length
 * @param file names the file in errors
 * @param dataBytes bytes of the file after the header
 * @returns entries sorted by position; they cover the data exactly, without overlap or gap
 * @throws InputError for anything else
 */
export function parseHeader(json: Uint8Array, file: string, dataBytes: number): HeaderEntry[] {
  assertShallow(json, file);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(json);
  } catch (error) {
    throw new InputError(`read safetensors header of '${file}': wanted UTF-8 text`, { cause: error });
  }
  if (!text.startsWith('{')) {
    throw new InputError(
      `read safetensors header of '${file}': wanted '{' first, got ${JSON.stringify(text.slice(0, 8))}`,
    );
  }
  const entries: HeaderEntry[] = [];
  for (const [name, value] of Object.entries(parseJsonObject(text, file))) {
    if (name === '__metadata__') assertMetadata(value, file);
    else entries.push(parseEntry(name, value, file));
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  assertCovering(entries, file, dataBytes);
  return entries;
}

function parseEntry(name: string, value: unknown, file: string): HeaderEntry {
  const fail = (problem: string): never => {
    throw new InputError(`read tensor '${name}' of '${file}': ${problem}`);
  };
  if (!isJsonObject(value)) return fail(`wanted an object in the header, got ${describeJson(value)}`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) {
    return fail(`wanted a dtype among ${Object.keys(DTYPE_BITS).join(', ')}, got ${JSON.stringify(dtype)}`);
  }
  if (!Array.isArray(shape) || shape.length > MAX_RANK || !shape.every(isCount)) {
    return fail(`wanted a shape of at most ${MAX_RANK} non-negative integers, got ${describeJson(shape)}`);
  }
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) {
    return fail('wanted data_offsets of two non-negative integers');
  }
  const [begin = 0, end = 0] = offsets;
  const bits = shape.reduce((product: number, size: number) => product * size, DTYPE_BITS[dtype]);
  if (!Number.isSafeInteger(bits)) return fail(`the shape [${shape.join(', ')}] is too large`);
  if ((end - begin) * 8 !== bits) {
    return fail(`dtype ${dtype} and shape [${shape.join(', ')}] want ${bits / 8} bytes, got ${end - begin}`);
  }
  return { name, dtype, shape, begin, end };
}

function assertCovering(entries: readonly HeaderEntry[], file: string, dataBytes: number): void {
  const wanted = entries.reduce((end, entry) => Math.max(end, entry.end), 0);
  if (wanted > dataBytes) {
    throw new InputError(
      `read safetensors file '${file}': the file is truncated: wanted ${wanted} bytes of tensor data, got ${dataBytes}`,
    );
  }
  let position = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== position) {
      const problem = begin < position ? 'overlaps the tensor before it' : 'leaves a gap before it';
      throw new InputError(
        `read tensor '${name}' of '${file}': ${problem}: wanted it at byte ${position}, got ${begin}`,
      );
    }
    position = end;
  }
  if (position !== dataBytes) {
    throw new InputError(
      `read safetensors file '${file}': wanted ${position} bytes of tensor data, got ${dataBytes - position} more`,
    );
  }
}

function assertMetadata(value: unknown, file: string): void {
  if (!isJsonObject(value) || !Object.values(value).every((entry) => typeof entry === 'string')) {
    throw new InputError(`read safetensors header of '${file}': wanted __metadata__ as an object of strings`);
  }
}

/** Walks the brackets outside strings before JSON.parse builds anything. */
function assertShallow(json: Uint8Array, file: string): void {
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === 0x22) quoted = !quoted;
    else if (quoted) {
      if (byte === 0x5c) i++;
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > MAX_NESTING) {
        throw new InputError(
          `read safetensors header of '${file}': nested deeper than ${MAX_NESTING} levels at byte ${i}`,
        );
      }
    } else if (byte === 0x7d || byte === 0x5d) depth--;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === 'string' && Object.hasOwn(DTYPE_BITS, value);
}
