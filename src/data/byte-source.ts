import { open, type FileHandle } from 'node:fs/promises';
import { InputError } from '../errors.js';

/** Random access to bytes, wherever they lie: a local file, a buffer, a file behind HTTP ranges. */
export interface ByteSource {
  /** How errors name it. */
  readonly name: string;
  readonly byteLength: number;
  /** Exactly the bytes [start, end); throws InputError when they cannot be had in full. */
  slice(start: number, end: number): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export function bufferBytes(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    byteLength: bytes.byteLength,
    slice: async (start, end) => {
      checkRange(name, start, end, bytes.byteLength);
      return new Uint8Array(bytes.subarray(start, end));
    },
    close: async () => {},
  };
}

/** The file stays open until `close`, so that a file replaced meanwhile cannot mix its bytes with the old one's. */
export async function fileBytes(path: string, name = path): Promise<ByteSource> {
  const handle = await openForReading(path);
  const { size } = await handle.stat();
  return {
    name,
    byteLength: size,
    slice: async (start, end) => {
      checkRange(name, start, end, size);
      const bytes = new Uint8Array(end - start);
      for (let done = 0; done < bytes.length;) {
        const { bytesRead } = await handle.read(bytes, done, bytes.length - done, start + done);
        if (bytesRead === 0) throw new InputError(`Cannot read "${name}": it ends at byte ${start + done} of ${size}`);
        done += bytesRead;
      }
      return bytes;
    },
    close: () => handle.close(),
  };
}

export async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new InputError(`Cannot open "${path}": ${reason}`, { cause: error });
  }
}

/** A file's offsets come from the file itself, so they may point anywhere. */
function checkRange(name: string, start: number, end: number, length: number): void {
  if (!(Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && start <= end && end <= length)) {
    throw new InputError(`Cannot read "${name}": wanted bytes ${start} to ${end}, it has ${length}`);
  }
}
