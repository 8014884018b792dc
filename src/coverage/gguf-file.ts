import { open, type FileHandle } from 'node:fs/promises';
import { InputError } from '../errors.js';
import { parseGguf, type GgufHeader, type GgufTensor } from './gguf.js';

/** Enough for any imatrix at once; models with large vocabularies take a few steps more. */
const FIRST_READ_BYTES = 2 ** 20;
/** The vocabulary and merges of the largest tokenizers take some 20 MB. */
const MOST_HEADER_BYTES = 2 ** 28;
/** One F32 tensor read whole: the counts of a layer's experts are a few kilobytes. */
const MOST_TENSOR_BYTES = 2 ** 26;
const F32 = 0;

export interface GgufFile extends GgufHeader {
  /** @throws InputError when the tensor is not F32, too large, or not all there */
  readF32(tensor: GgufTensor): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Opens a GGUF file; tensors are read on demand. @throws InputError */
export async function openGguf(path: string): Promise<GgufFile> {
  const file = await openFile(path);
  try {
    const { size } = await file.stat();
    const header = await readHeader(file, size, path);
    return {
      ...header,
      async readF32({ name, type, shape, offset }) {
        const fail = (problem: string): never => {
          throw new InputError(`read tensor '${name}': ${problem}`, { location: { file: path } });
        };
        const values = shape.reduce((product, length) => product * length, 1);
        if (type !== F32) return fail(`wanted type F32 (0), got type ${type}`);
        if (values * 4 > MOST_TENSOR_BYTES) return fail(`wanted at most ${MOST_TENSOR_BYTES} bytes, got ${values * 4}`);
        if (offset + values * 4 > size) return fail(`it reaches to byte ${offset + values * 4} of ${size}`);
        const bytes = await readBytes(file, offset, values * 4);
        return new Float32Array(bytes.buffer, bytes.byteOffset, values);
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new InputError(`read GGUF file '${path}': it cannot be opened`, { cause: error });
  }
}

async function readHeader(file: FileHandle, size: number, path: string): Promise<GgufHeader> {
  for (let length = FIRST_READ_BYTES; ; length *= 4) {
    const header = parseGguf(await readBytes(file, 0, Math.min(length, size)), size, path);
    if (header !== null) return header;
    if (length >= MOST_HEADER_BYTES) {
      throw new InputError(`read GGUF file: its header is longer than ${MOST_HEADER_BYTES} bytes`, {
        location: { file: path },
      });
    }
  }
}

async function readBytes(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let read = 0;
  while (read < length) {
    const { bytesRead } = await file.read(bytes, read, length - read, at + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  return bytes.subarray(0, read);
}
