import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PARTIAL_SUFFIX } from '../durable.js';
import { readJsonObject, isJsonObject } from '../json-file.js';
import { readShard } from '../raw.js';
import { INDEX_FILE, SINGLE_FILE } from '../shards.js';
import { listSideFiles } from '../side-files.js';
import type { Finding } from './finding.js';

/** Journal, lock and whatever else a run keeps beside the checkpoint until it is finished. */
const STATE_PREFIX = '.evenkeel-';

/** Nothing half-written is left over, and the index accounts for every file and tensor. */
export function* verifyFolder(output: string): Generator<Finding> {
  for (const name of readdirSync(output)) {
    if (name.startsWith(STATE_PREFIX) || name.endsWith(PARTIAL_SUFFIX)) {
      yield { check: 'folder', subject: name, message: 'is left over from a run that did not finish' };
    }
  }
  const files = readdirSync(output).filter((name) => name.endsWith('.safetensors'));
  if (!existsSync(join(output, INDEX_FILE))) {
    for (const name of files.filter((file) => file !== SINGLE_FILE)) {
      yield { check: 'index', subject: name, message: `is a shard, but there is no ${INDEX_FILE}` };
    }
    return;
  }
  const { weight_map: weightMap, metadata } = readJsonObject(join(output, INDEX_FILE));
  if (!isJsonObject(weightMap)) return;
  const indexed = new Set(Object.values(weightMap));
  let total = 0;
  for (const file of files) {
    if (!indexed.has(file)) {
      yield { check: 'index', subject: file, message: 'is not in the index' };
      continue;
    }
    for (const { name, begin, end } of readShard(output, file).infos) {
      total += end - begin;
      if (weightMap[name] !== file) {
        yield {
          check: 'index',
          subject: name,
          message: `lies in '${file}', the index says ${JSON.stringify(weightMap[name])}`,
        };
      }
    }
  }
  const declared = isJsonObject(metadata) ? metadata['total_size'] : undefined;
  if (declared !== total) {
    yield {
      check: 'index',
      subject: INDEX_FILE,
      message: `total_size: wanted ${total}, got ${JSON.stringify(declared)}`,
    };
  }
}

/** Every side file of the model is there, byte for byte; `replaced` names those that the run writes itself. */
export function* verifySideFiles(output: string, model: string, replaced: ReadonlySet<string>): Generator<Finding> {
  for (const name of listSideFiles(model)) {
    const path = join(output, name);
    if (!existsSync(path)) yield { check: 'side-files', subject: name, message: 'is missing' };
    else if (!replaced.has(name) && !sameBytes(path, join(model, name))) {
      yield { check: 'side-files', subject: name, message: 'differs from the source' };
    }
  }
}

function sameBytes(a: string, b: string): boolean {
  return statSync(a).size === statSync(b).size && readFileSync(a).equals(readFileSync(b));
}
