import { closeSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { writingSync } from '../checkpoint/durable.js';

/**
 * A matrix of f32 rows that several workers read and write: in shared memory, or in a file when it does not fit the
 * memory budget. The descriptor travels in messages; each worker opens its own view.
 */
export type RowStoreDescriptor =
  | { readonly kind: 'memory'; readonly buffer: SharedArrayBuffer; readonly rows: number; readonly width: number }
  | { readonly kind: 'file'; readonly path: string; readonly rows: number; readonly width: number };

export interface RowStore {
  readonly rows: number;
  readonly width: number;
  /** Copies rows [from, from + count) into target at an offset in elements. */
  read(from: number, count: number, target: Float32Array, offset?: number): void;
  write(from: number, values: Float32Array, offset?: number, count?: number): void;
  /** Copies single rows into target, one after the other. */
  gather(rows: Int32Array, target: Float32Array): void;
  /** Copies values [rows.length × width] to single rows. */
  scatter(rows: Int32Array, values: Float32Array): void;
  close(): void;
}

export function createRowStore(rows: number, width: number, spillPath: string | null): RowStoreDescriptor {
  if (spillPath === null) {
    return { kind: 'memory', buffer: new SharedArrayBuffer(rows * width * 4), rows, width };
  }
  const file = openSync(spillPath, 'w');
  try {
    ftruncateSync(file, rows * width * 4);
  } finally {
    closeSync(file);
  }
  return { kind: 'file', path: spillPath, rows, width };
}

export function openRowStore(descriptor: RowStoreDescriptor): RowStore {
  const { rows, width } = descriptor;
  if (descriptor.kind === 'memory') {
    const all = new Float32Array(descriptor.buffer);
    return {
      rows,
      width,
      read: (from, count, target, offset = 0) => target.set(all.subarray(from * width, (from + count) * width), offset),
      write: (from, values, offset = 0, count = values.length / width) =>
        all.set(values.subarray(offset, offset + count * width), from * width),
      gather(wanted, target) {
        for (let i = 0; i < wanted.length; i++) {
          const from = wanted[i]! * width;
          target.set(all.subarray(from, from + width), i * width);
        }
      },
      scatter(wanted, values) {
        for (let i = 0; i < wanted.length; i++)
          all.set(values.subarray(i * width, (i + 1) * width), wanted[i]! * width);
      },
      close: () => undefined,
    };
  }
  const file = openSync(descriptor.path, 'r+');
  const store: RowStore = {
    rows,
    width,
    read(from, count, target, offset = 0) {
      const bytes = new Uint8Array(target.buffer, target.byteOffset + offset * 4, count * width * 4);
      for (let done = 0; done < bytes.length;) {
        const got = readSync(file, bytes, done, bytes.length - done, from * width * 4 + done);
        if (got === 0) throw new Error(`Cannot read spilled rows: '${descriptor.path}' ends early`);
        done += got;
      }
    },
    write(from, values, offset = 0, count = values.length / width) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset + offset * 4, count * width * 4);
      writingSync(descriptor.path, () => {
        for (let done = 0; done < bytes.length;)
          done += writeSync(file, bytes, done, bytes.length - done, from * width * 4 + done);
      });
    },
    gather(wanted, target) {
      wanted.forEach((row, i) => store.read(row, 1, target, i * width));
    },
    scatter(wanted, values) {
      wanted.forEach((row, i) => store.write(row, values, i * width, 1));
    },
    close: () => closeSync(file),
  };
  return store;
}
