import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { writingSync } from '../checkpoint/durable.js';

/**
 * A matrix of f32 rows that several workers read and write: in shared memory, or in a file when it does not fit the
 * memory budget. The descriptor travels in messages; each worker opens its own view.
 */
export type RowStoreDescriptor = RowShape &
  ({ readonly kind: 'memory'; readonly buffer: SharedArrayBuffer } | { readonly kind: 'file'; readonly path: string });

interface RowShape {
  readonly rows: number;
  readonly width: number;
  /** Values from one row to the next: rows may be narrower than their places, which then hold wider ones at other times. */
  readonly stride: number;
}

export interface RowStore {
  readonly rows: number;
  readonly width: number;
  /** The rows themselves, where they lie in memory one after the other. */
  readonly values: Float32Array | null;
  /** Copies rows [from, from + count) into target at an offset in elements. */
  read(from: number, count: number, target: Float32Array, offset?: number): void;
  write(from: number, values: Float32Array, offset?: number, count?: number): void;
  /** Copies single rows into target, one after the other. */
  gather(rows: Int32Array, target: Float32Array): void;
  /** Copies values [rows.length × width] to single rows. */
  scatter(rows: Int32Array, values: Float32Array): void;
  close(): void;
}

export function createRowStore(
  rows: number,
  width: number,
  spillPath: string | null,
  stride = width,
): RowStoreDescriptor {
  const bytes = rows * stride * 4;
  if (spillPath === null) return { kind: 'memory', buffer: new SharedArrayBuffer(bytes), rows, width, stride };
  const file = openSync(spillPath, 'w');
  try {
    ftruncateSync(file, bytes);
  } finally {
    closeSync(file);
  }
  return { kind: 'file', path: spillPath, rows, width, stride };
}

export function openRowStore(descriptor: RowStoreDescriptor): RowStore {
  const { rows, width, stride } = descriptor;
  const all = descriptor.kind === 'memory' ? new Float32Array(descriptor.buffer) : null;
  const storage =
    descriptor.kind === 'memory' ? inMemory(new Float32Array(descriptor.buffer)) : inFile(descriptor.path);
  return {
    rows,
    width,
    values: stride === width ? all : null,
    read(from, count, target, offset = 0) {
      if (stride === width) {
        storage.get(from * stride, target, offset, count * width);
        return;
      }
      for (let i = 0; i < count; i++) storage.get((from + i) * stride, target, offset + i * width, width);
    },
    write(from, values, offset = 0, count = values.length / width) {
      if (stride === width) {
        storage.put(from * stride, values, offset, count * width);
        return;
      }
      for (let i = 0; i < count; i++) storage.put((from + i) * stride, values, offset + i * width, width);
    },
    gather(wanted, target) {
      for (let i = 0; i < wanted.length; i++) storage.get(wanted[i]! * stride, target, i * width, width);
    },
    scatter(wanted, values) {
      for (let i = 0; i < wanted.length; i++) storage.put(wanted[i]! * stride, values, i * width, width);
    },
    close: () => storage.close(),
  };
}

/** Values [at, at + length) of a store, copied to or from an array at an offset. */
interface Storage {
  get(at: number, target: Float32Array, offset: number, length: number): void;
  put(at: number, values: Float32Array, offset: number, length: number): void;
  close(): void;
}

function inMemory(all: Float32Array): Storage {
  return {
    get: (at, target, offset, length) => target.set(all.subarray(at, at + length), offset),
    put: (at, values, offset, length) => all.set(values.subarray(offset, offset + length), at),
    close: () => undefined,
  };
}

function inFile(path: string): Storage {
  const handle = openSync(path, 'r+');
  const bytesOf = (values: Float32Array, offset: number, length: number): Uint8Array =>
    new Uint8Array(values.buffer, values.byteOffset + offset * 4, length * 4);
  return {
    get(at, target, offset, length) {
      const bytes = bytesOf(target, offset, length);
      for (let done = 0; done < bytes.length;) {
        const got = readSync(handle, bytes, done, bytes.length - done, at * 4 + done);
        if (got === 0) throw new Error(`Cannot read spilled rows: '${path}' ends early`);
        done += got;
      }
    },
    put(at, values, offset, length) {
      const bytes = bytesOf(values, offset, length);
      writingSync(path, () => {
        for (let done = 0; done < bytes.length;)
          done += writeSync(handle, bytes, done, bytes.length - done, at * 4 + done);
      });
    },
    close: () => closeSync(handle),
  };
}
