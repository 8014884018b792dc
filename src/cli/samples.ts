import { InputError } from '../errors.js';
import type { MixRecipe } from '../recipe/recipe.js';
import { buildFromRecipe } from '../pipeline/mix.js';
import { holdsTokenIds, isMixFolder, readMix } from '../mix/read.js';
import type { Mix, Sequence } from '../mix/sequence.js';
import { basename, resolve } from 'node:path';
import { existsSync, statSync } from 'node:fs';

/**
 * Sequences for an audit or an evaluation: a mix folder, ready `input_ids`, or any file a source can read, rendered with
 * the model's template and cut into windows.
 */
export async function readSequences(path: string, model: string, sequenceLength: number): Promise<Mix> {
  const isBuiltin = path.startsWith('builtin:');
  if (!isBuiltin && !existsSync(path)) throw new InputError(`read samples '${path}': there is no such file or folder`);
  if (!isBuiltin && (await isMixFolder(path))) return readMix(path);
  if (!isBuiltin && path.endsWith('.jsonl') && statSync(path).isFile() && (await holdsTokenIds(path)))
    return readMix(path);
  const build = buildFromRecipe(fileRecipe(path, sequenceLength), { model, pool: 1 });
  for (;;) {
    const next = await build.next();
    if (next.done === true) return { sequences: next.value.mix.sequences, manifest: next.value.mix.manifest };
  }
}

/** A recipe that takes one file whole and as it is. */
function fileRecipe(path: string, sequenceLength: number): MixRecipe {
  const isBuiltin = path.startsWith('builtin:');
  return {
    seed: 0,
    tokens: null,
    sequenceLength,
    overflow: 'window',
    tokenizer: null,
    chatTemplate: null,
    template: null,
    templateArguments: {},
    templateDate: null,
    sources: [
      {
        name: isBuiltin ? path : basename(path),
        dataset: isBuiltin ? path : resolve(path),
        kind: isBuiltin ? 'builtin' : 'file',
        revision: null,
        subset: null,
        split: null,
        columns: null,
        format: 'auto',
        samples: 'all',
        weight: 1,
        language: null,
        category: null,
        license: null,
        onError: 'fail',
        formatter: null,
        location: { file: path },
      },
    ],
    languages: new Map(),
    clean: {
      exactDuplicates: 'off',
      nearDuplicates: 'off',
      nearDuplicateSimilarity: 1,
      degenerate: 'off',
      replacementCharacters: 'off',
      secrets: 'off',
      contamination: { lists: [], ngram: 13, action: 'off' },
      languages: 'off',
    },
  };
}

export function tokensOf(sequences: readonly Sequence[]): number {
  return sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
}
