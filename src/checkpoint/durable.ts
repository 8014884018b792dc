import { writeSync } from 'node:fs';
import { open, rename, statfs, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder } from '../make-folder.js';
import { InputError } from '../errors.js';
import { codeOf, messageOf } from './system-error.js';

/** Ends the name of every file that is not complete yet. */
export const PARTIAL_SUFFIX = '.partial';

/** Files are copied in pieces of this size. */
const COPY_BYTES = 4 << 20;

/** Runs a write; failures of the system (full disk, quota, permissions) become an InputError that names the file. */
export async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw writeFailure(path, error);
  }
}

/** `writing` for a synchronous write. */
export function writingSync<T>(path: string, write: () => T): T {
  try {
    return write();
  } catch (error) {
    throw writeFailure(path, error);
  }
}

function writeFailure(path: string, error: unknown): unknown {
  const code = codeOf(error);
  if (code === undefined) return error;
  const advice = ['ENOSPC', 'EDQUOT', 'EFBIG'].includes(code) ? '; free some space, then resume' : '';
  return new InputError(`write file '${path}': ${messageOf(error)}${advice}`, { cause: error });
}

/** Up to here handing a write to another thread takes longer than copying it to the system's cache here. */
const SMALL_BYTES = 256 << 10;

/** Writes all of `bytes` at `position`. */
export async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const left = bytes.length - done;
    done +=
      left <= SMALL_BYTES
        ? writeSync(handle.fd, bytes, done, left, position + done)
        : (await handle.write(bytes, done, left, position + done)).bytesWritten;
  }
}

/** Puts a whole file in place: temporary name, fsync, rename, fsync of the folder. Creates missing folders. */
export async function writeFileDurably(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  await putInPlace(path, (handle) => writeFully(handle, bytes, 0));
}

/** `writeFileDurably` with the content of another file, in bounded pieces. */
export async function copyFileDurably(from: string, to: string): Promise<void> {
  const source = await open(from, 'r');
  try {
    await putInPlace(to, async (handle) => {
      const buffer = new Uint8Array(COPY_BYTES);
      for (let position = 0; ;) {
        const { bytesRead } = await source.read(buffer, 0, buffer.length, position);
        if (bytesRead === 0) return;
        await writeFully(handle, buffer.subarray(0, bytesRead), position);
        position += bytesRead;
      }
    });
  } finally {
    await source.close();
  }
}

async function putInPlace(path: string, fill: (handle: FileHandle) => Promise<void>): Promise<void> {
  await writing(path, async () => {
    await makeFolder(dirname(path));
    const partial = path + PARTIAL_SUFFIX;
    const handle = await open(partial, 'w');
    try {
      await fill(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, path);
    await syncFolder(dirname(path));
  });
}

/** Makes renames within the folder durable, where the system lets folders be opened. */
export async function syncFolder(path: string): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    // Windows does not open folders.
    if (codeOf(error) === 'EPERM' || codeOf(error) === 'EISDIR') return;
    throw error;
  }
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Throws InputError unless the file system has room for `bytes` more. */
export async function assertFreeSpace(directory: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const free = bavail * bsize;
  if (free < bytes) {
    throw new InputError(`write checkpoint '${join(directory)}': wanted ${bytes} bytes of free space, got ${free}`);
  }
}
