import { createHash, type Hash } from 'node:crypto';
import { open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Counts made before a change of routing must not be used after it: raise this with the change. */
const ROUTING_VERSION = 1;
/** Stretches of weights that are read of every shard, and their length: enough that a finetune never looks the same. */
const STRETCHES = 64;
const STRETCH_BYTES = 4096;

/**
 * Names a model by what its routing depends on: config.json, and of every safetensors file the name, the size, and
 * stretches spread evenly over its bytes (which include the header). A model of hundreds of gigabytes takes milliseconds.
 */
export async function fingerprintModel(directory: string): Promise<string> {
  const hash = createHash('sha256').update(`evenkeel routing ${ROUTING_VERSION}\n`);
  hash.update(await readFile(join(directory, 'config.json')));
  const shards = (await readdir(directory)).filter((name) => name.endsWith('.safetensors')).sort();
  for (const shard of shards) await hashShard(hash, join(directory, shard), shard);
  return hash.digest('hex');
}

async function hashShard(hash: Hash, path: string, name: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    hash.update(`${name}\n${size}\n`);
    const stretch = new Uint8Array(STRETCH_BYTES);
    const step = Math.max(STRETCH_BYTES, Math.floor(size / STRETCHES));
    for (let at = 0; at < size; at += step) {
      const { bytesRead } = await file.read(stretch, 0, STRETCH_BYTES, at);
      hash.update(stretch.subarray(0, bytesRead));
    }
  } finally {
    await file.close();
  }
}
