import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { PARTIAL_SUFFIX } from './durable.js';
import type { PlacedTensor, ShardLayout } from './shard-layout.js';

/** Tensors are re-read in pieces of this size. */
const CHUNK_BYTES = 16 << 20;

/** Re-reads what the journal claims and keeps the tensors whose bytes still have the recorded hash. */
export async function intactTensors(
  directory: string,
  shards: readonly ShardLayout[],
  journaled: ReadonlyMap<string, string>,
): Promise<Set<string>> {
  const intact = new Set<string>();
  for (const { file, tensors } of shards) {
    const claimed = [...tensors.values()].filter(({ name }) => journaled.has(name));
    const path = join(directory, file);
    const found = [path, path + PARTIAL_SUFFIX].find((candidate) => existsSync(candidate));
    if (claimed.length === 0 || found === undefined) continue;
    const handle = await open(found, 'r');
    try {
      for (const tensor of claimed) {
        if ((await hashStored(handle, tensor)) === journaled.get(tensor.name)) intact.add(tensor.name);
      }
    } finally {
      await handle.close();
    }
    // A complete shard with a damaged tensor goes back to work under its temporary name.
    if (found === path && [...tensors.keys()].some((name) => !intact.has(name))) {
      await rename(path, path + PARTIAL_SUFFIX);
    }
  }
  return intact;
}

async function hashStored(handle: FileHandle, { position, bytes }: PlacedTensor): Promise<string> {
  const hash = createHash('sha256');
  const buffer = new Uint8Array(Math.min(CHUNK_BYTES, bytes));
  for (let done = 0; done < bytes;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(buffer.length, bytes - done), position + done);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    done += bytesRead;
  }
  return hash.digest('hex');
}
