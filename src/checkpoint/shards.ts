import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { resolveInside } from './inside.js';
import { describeJson, isJsonObject, readJsonObject } from './json-file.js';
import { readShard, type Shard } from './raw.js';
import type { TensorInfo } from './tensor-source.js';

export const INDEX_FILE = 'model.safetensors.index.json';
export const SINGLE_FILE = 'model.safetensors';

/** The shards of a model folder and where each tensor lies: through the index, or the single file. */
export function readShards(directory: string): { shards: Shard[]; infos: Map<string, TensorInfo> } {
  if (!existsSync(directory)) throw new InputError(`open model '${directory}': the folder is missing`);
  if (existsSync(join(directory, INDEX_FILE))) return readIndexed(directory);
  if (!existsSync(join(directory, SINGLE_FILE))) {
    throw new InputError(`open model '${directory}': wanted ${SINGLE_FILE} or ${INDEX_FILE}, got neither`);
  }
  resolveInside(directory, SINGLE_FILE);
  const shard = readShard(directory, SINGLE_FILE);
  return { shards: [shard], infos: new Map(shard.infos.map((info) => [info.name, info])) };
}

function readIndexed(directory: string): { shards: Shard[]; infos: Map<string, TensorInfo> } {
  const indexPath = resolveInside(directory, INDEX_FILE);
  const { weight_map: weightMap } = readJsonObject(indexPath);
  if (!isJsonObject(weightMap)) {
    throw new InputError(`read index '${indexPath}': wanted weight_map as an object, got ${describeJson(weightMap)}`);
  }
  const shards = new Map<string, { shard: Shard; byName: Map<string, TensorInfo> }>();
  const infos = new Map<string, TensorInfo>();
  for (const [name, file] of Object.entries(weightMap)) {
    if (typeof file !== 'string') {
      throw new InputError(
        `read index '${indexPath}': wanted a file name for tensor '${name}', got ${describeJson(file)}`,
      );
    }
    let entry = shards.get(file);
    if (entry === undefined) {
      resolveInside(directory, file);
      const shard = readShard(directory, file);
      entry = { shard, byName: new Map(shard.infos.map((info) => [info.name, info])) };
      shards.set(file, entry);
    }
    const info = entry.byName.get(name);
    if (info === undefined) {
      throw new InputError(
        `read index '${indexPath}': shard '${file}' lacks tensor '${name}', which the index puts there`,
      );
    }
    infos.set(name, info);
  }
  return { shards: [...shards.values()].map(({ shard }) => shard), infos };
}
