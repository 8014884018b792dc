import { InputError } from '../errors.js';

/** Values of metadata; 64-bit integers beyond 2^53 lose their low bits, which no key that is read here needs. */
export type GgufValue = string | number | boolean | readonly GgufValue[];

export interface GgufTensor {
  readonly name: string;
  /** GGML's order: the first is contiguous. */
  readonly shape: readonly number[];
  /** ggml_type, e.g. 0 for F32. */
  readonly type: number;
  /** From the beginning of the file. */
  readonly offset: number;
}

export interface GgufHeader {
  readonly version: number;
  readonly metadata: ReadonlyMap<string, GgufValue>;
  readonly tensors: ReadonlyMap<string, GgufTensor>;
}

/** Kimi K2 has about 1,100 tensors and its imatrix twice that; a count beyond this is damage, not a model. */
const MOST_TENSORS = 1_000_000;
const MOST_KEYS = 100_000;
/** The largest vocabularies have 262,144 entries. */
const MOST_ARRAY_VALUES = 4_000_000;
/** Chat templates reach some 100 kB. */
const MOST_STRING_BYTES = 16 * 2 ** 20;
/** GGML_MAX_DIMS. */
const MOST_DIMENSIONS = 4;
/** The format allows arrays of arrays; no file in use has them deeper than one. */
const MOST_ARRAY_DEPTH = 3;
const MOST_ALIGNMENT = 2 ** 20;
const DEFAULT_ALIGNMENT = 32;

/** Type numbers of metadata values, in the order of ggml's gguf.h. */
const [U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64] = [...Array(13).keys()] as const;
const VALUE_BYTES = new Map([
  [U8, 1],
  [I8, 1],
  [U16, 2],
  [I16, 2],
  [U32, 4],
  [I32, 4],
  [F32, 4],
  [BOOL, 1],
  [STRING, 8],
  [ARRAY, 12],
  [U64, 8],
  [I64, 8],
  [F64, 8],
]);

/**
 * Reads the header of a GGUF file (versions 2 and 3, little endian; github.com/ggml-org/ggml/blob/master/docs/gguf.md).
 *
 * @param bytes the beginning of the file
 * @param fileBytes size of the whole file
 * @returns null when the header goes on beyond `bytes`
 * @throws InputError naming the file and what is wrong with it
 */
export function parseGguf(bytes: Uint8Array, fileBytes: number, path: string): GgufHeader | null {
  const reader = createReader(bytes, path);
  try {
    return parseHeader(reader, fileBytes);
  } catch (error) {
    if (error !== reader.atEnd) throw error;
    if (bytes.length < fileBytes) return null;
    return reader.fail('the file ends within its header');
  }
}

type Reader = ReturnType<typeof createReader>;

function parseHeader(reader: Reader, fileBytes: number): GgufHeader {
  const { fail } = reader;
  const magic = reader.u32();
  if (magic !== 0x46554747) return fail("wanted a file that begins with 'GGUF'");
  const version = reader.u32();
  if (version >= 2 ** 24) return fail('big-endian files are not supported');
  if (version !== 2 && version !== 3) return fail(`wanted version 2 or 3, got ${version}`);
  const tensorCount = reader.count('tensors', MOST_TENSORS);
  const keyCount = reader.count('keys', MOST_KEYS);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < keyCount; i++) {
    const key = reader.text();
    if (metadata.has(key)) return fail(`key '${key}' stands there twice`);
    metadata.set(key, reader.value(reader.u32(), 0));
  }
  const alignment = metadata.get('general.alignment') ?? DEFAULT_ALIGNMENT;
  if (
    typeof alignment !== 'number' ||
    !(alignment >= 1 && alignment <= MOST_ALIGNMENT && Number.isInteger(alignment))
  ) {
    return fail(`wanted an alignment of 1 to ${MOST_ALIGNMENT} bytes, got ${JSON.stringify(alignment)}`);
  }
  const relative = Array.from({ length: tensorCount }, () => readTensor(reader));
  const dataStart = Math.ceil(reader.position() / alignment) * alignment;
  const tensors = new Map<string, GgufTensor>();
  for (const tensor of relative) {
    if (tensors.has(tensor.name)) return fail(`tensor '${tensor.name}' stands there twice`);
    const offset = dataStart + tensor.offset;
    if (offset > fileBytes) return fail(`tensor '${tensor.name}' begins at byte ${offset} of ${fileBytes}`);
    tensors.set(tensor.name, { ...tensor, offset });
  }
  return { version, metadata, tensors };
}

function readTensor(reader: Reader): GgufTensor {
  const name = reader.text();
  const dimensions = reader.u32();
  if (dimensions > MOST_DIMENSIONS) {
    return reader.fail(`tensor '${name}' has ${dimensions} dimensions, wanted at most ${MOST_DIMENSIONS}`);
  }
  const shape = Array.from({ length: dimensions }, () => reader.u64());
  if (!Number.isSafeInteger(shape.reduce((product, size) => product * size, 1))) {
    return reader.fail(`tensor '${name}' has an impossible shape [${shape.join(', ')}]`);
  }
  return { name, shape, type: reader.u32(), offset: reader.u64() };
}

/** A cursor over the bytes; reading past them throws `atEnd`. */
function createReader(bytes: Uint8Array, path: string) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const atEnd = new Error('more bytes are needed');
  let at = 0;
  const take = (length: number): number => {
    if (at + length > bytes.length) throw atEnd;
    at += length;
    return at - length;
  };
  const fail = (problem: string): never => {
    throw new InputError(`read GGUF file: ${problem}`, { location: { file: path } });
  };
  const u32 = (): number => view.getUint32(take(4), true);
  const u64 = (): number => Number(view.getBigUint64(take(8), true));
  const count = (what: string, most: number): number => {
    const value = u64();
    return value > most ? fail(`wanted at most ${most} ${what}, got ${value}`) : value;
  };
  const text = (): string => {
    const start = take(count('bytes of text', MOST_STRING_BYTES));
    return decoder.decode(bytes.subarray(start, at));
  };
  const value = (type: number, depth: number): GgufValue => {
    switch (type) {
      case U8:
        return view.getUint8(take(1));
      case I8:
        return view.getInt8(take(1));
      case U16:
        return view.getUint16(take(2), true);
      case I16:
        return view.getInt16(take(2), true);
      case U32:
        return u32();
      case I32:
        return view.getInt32(take(4), true);
      case F32:
        return view.getFloat32(take(4), true);
      case BOOL:
        return view.getUint8(take(1)) !== 0;
      case STRING:
        return text();
      case ARRAY:
        return array(depth + 1);
      case U64:
        return u64();
      case I64:
        return Number(view.getBigInt64(take(8), true));
      case F64:
        return view.getFloat64(take(8), true);
      default:
        return fail(`there is no value type ${type}`);
    }
  };
  const array = (depth: number): GgufValue[] => {
    if (depth > MOST_ARRAY_DEPTH) return fail(`arrays are nested deeper than ${MOST_ARRAY_DEPTH}`);
    const type = u32();
    const least = VALUE_BYTES.get(type);
    if (least === undefined) return fail(`there is no value type ${type}`);
    const length = count('values in an array', MOST_ARRAY_VALUES);
    // Before anything of that length is allocated: the values must fit what is there.
    if (at + length * least > bytes.length) throw atEnd;
    return Array.from({ length }, () => value(type, depth));
  };
  return { u32, u64, count, text, value, fail, atEnd, position: () => at };
}
