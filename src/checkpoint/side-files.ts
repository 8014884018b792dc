import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { copyFileDurably, PARTIAL_SUFFIX } from './durable.js';
import { resolveInside } from './inside.js';

/** A model folder with more files is something else, or a link into a whole file system. */
const MAX_FILES = 10_000;

/** Each waits for the disk several times. */
const COPIED_AT_ONCE = 8;

/** Weights in other formats, and what tools leave behind. */
const SKIPPED_FILES = [
  /\.safetensors(\.index\.json)?$/,
  /\.(bin|pth|pt|ckpt|msgpack|h5|gguf|onnx|onnx_data|ot|tflite)$/,
  /\.(bin|pth|pt)\.index\.json$/,
  /^consolidated\./,
  new RegExp(`${PARTIAL_SUFFIX.replace('.', '\\.')}$`),
  /^\./,
];
const SKIPPED_FOLDERS = [/^\./, /^original$/, /^onnx$/, /^metal$/, /^__pycache__$/];

/**
 * The files of a model folder that belong to the model but hold no weights (tokenizer, chat templates, generation
 * config, custom code, licence, README): relative names with `/`, sorted. `config.json` is not among them.
 *
 * @throws InputError for a link that leaves the folder
 */
export function listSideFiles(directory: string): string[] {
  const names: string[] = [];
  const walk = (folder: string): void => {
    for (const entry of readdirSync(join(directory, folder), { withFileTypes: true })) {
      const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!SKIPPED_FOLDERS.some((pattern) => pattern.test(entry.name))) walk(name);
        continue;
      }
      if (name === 'config.json' || SKIPPED_FILES.some((pattern) => pattern.test(entry.name))) continue;
      resolveInside(directory, name);
      names.push(name);
      if (names.length > MAX_FILES) {
        throw new InputError(`list the files of model '${directory}': wanted at most ${MAX_FILES}, got more`);
      }
    }
  };
  walk('');
  return names.sort();
}

/** Copies the side files byte for byte, except those in `replaced`. */
export async function copySideFiles(from: string, to: string, replaced: ReadonlySet<string>): Promise<void> {
  const names = listSideFiles(from).filter((name) => !replaced.has(name));
  for (let first = 0; first < names.length; first += COPIED_AT_ONCE) {
    const some = names.slice(first, first + COPIED_AT_ONCE);
    await Promise.all(some.map((name) => copyFileDurably(resolveInside(from, name), join(to, name))));
  }
}
