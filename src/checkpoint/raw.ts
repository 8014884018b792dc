import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { headerLength, parseHeader } from './header.js';
import { messageOf } from './system-error.js';
import type { TensorInfo } from './tensor-source.js';

/** Stored bytes of the tensors of one or more safetensors files. */
export interface RawTensors {
  readonly infos: ReadonlyMap<string, TensorInfo>;
  /** Fills `target` with the tensor's bytes from `begin` on. */
  readInto(info: TensorInfo, begin: number, target: Uint8Array): void;
  close(): void;
}

/** A shard's header, and the state of the file it was read from. */
export interface Shard {
  readonly file: string;
  readonly path: string;
  readonly infos: readonly TensorInfo[];
  readonly stats: Stats;
}

/** Linux transfers at most 2 GiB − 4 KiB per read call. */
const MAX_READ = 2 ** 30;

/** Reads and checks one file's header; byte ranges in the infos count from the start of the file. */
export function readShard(directory: string, file: string): Shard {
  const path = join(directory, file);
  const fd = openFile(path);
  try {
    const stats = fstatSync(fd);
    if (!stats.isFile()) throw new InputError(`read safetensors file '${path}': wanted a file`);
    const prefix = new Uint8Array(8);
    if (stats.size >= 8) readFully(fd, path, 0, prefix);
    const length = headerLength(prefix, path, stats.size);
    const json = new Uint8Array(length);
    readFully(fd, path, 8, json);
    const dataBegin = 8 + length;
    const infos = parseHeader(json, path, stats.size - dataBegin).map(({ begin, end, ...entry }) => ({
      ...entry,
      shard: file,
      begin: dataBegin + begin,
      end: dataBegin + end,
    }));
    return { file, path, infos, stats };
  } finally {
    closeSync(fd);
  }
}

/** Joins shards into one source of bytes. Files are opened when first read, and must still be what was parsed. */
export function openRawTensors(shards: readonly Shard[], infos: ReadonlyMap<string, TensorInfo>): RawTensors {
  const byFile = new Map(shards.map((shard) => [shard.file, shard]));
  const descriptors = new Map<string, number>();

  const descriptor = (file: string): number => {
    const known = descriptors.get(file);
    if (known !== undefined) return known;
    const shard = byFile.get(file)!;
    const fd = openFile(shard.path);
    const { size, mtimeMs, ino } = fstatSync(fd);
    if (size !== shard.stats.size || mtimeMs !== shard.stats.mtimeMs || ino !== shard.stats.ino) {
      closeSync(fd);
      throw new InputError(
        `read safetensors file '${shard.path}': the file changed after it was opened: ` +
          `wanted ${shard.stats.size} bytes of ${shard.stats.mtime.toISOString()}, got ${size} bytes`,
      );
    }
    descriptors.set(file, fd);
    return fd;
  };

  return {
    infos,
    readInto(info, begin, target) {
      readFully(descriptor(info.shard), byFile.get(info.shard)!.path, info.begin + begin, target);
    },
    close() {
      for (const fd of descriptors.values()) closeSync(fd);
      descriptors.clear();
    },
  };
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new InputError(`open safetensors file '${path}': ${messageOf(error)}`, { cause: error });
  }
}

function readFully(fd: number, path: string, position: number, target: Uint8Array): void {
  let done = 0;
  while (done < target.length) {
    const length = Math.min(MAX_READ, target.length - done);
    let got: number;
    try {
      got = readSync(fd, target, done, length, position + done);
    } catch (error) {
      throw new InputError(`read safetensors file '${path}': ${messageOf(error)}`, { cause: error });
    }
    if (got === 0) {
      throw new InputError(
        `read safetensors file '${path}': the file is truncated: wanted ${position + target.length} bytes, ` +
          `got ${position + done}`,
      );
    }
    done += got;
  }
}
