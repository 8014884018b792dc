import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import * as z from 'zod';
import { InputError } from '../../errors.js';
import { messageOf } from '../row.js';

const state = z.looseObject({
  _data_files: z.array(z.looseObject({ filename: z.string().min(1) })).min(1),
  /** Of what it was saved: `test`, `train[:10%]`. */
  _split: z.string().nullish(),
});
const splits = z.looseObject({ splits: z.array(z.string().min(1)).min(1) });

/**
 * The Arrow files of a folder that Python's `datasets` wrote with `save_to_disk`: a dataset, or a dictionary of splits.
 * null when the folder is not one.
 *
 * @throws InputError when there are several splits and none is named, or the named one is missing
 */
export async function savedDatasetFiles(folder: string, split: string | undefined): Promise<string[] | null> {
  const dictionary = await readJson(join(folder, 'dataset_dict.json'), splits);
  if (dictionary !== null) {
    const chosen = chooseSplit(dictionary.splits, split, folder);
    return savedDatasetFiles(join(folder, chosen), undefined);
  }
  const saved = await readJson(join(folder, 'state.json'), state);
  if (saved === null) return null;
  if (split !== undefined) chooseSplit([saved._split?.replace(/\[.*$/u, '') ?? 'train'], split, folder);
  return saved._data_files.map(({ filename }) => {
    if (basename(filename) !== filename || filename === '..') {
      throw new InputError(`Cannot read dataset "${folder}": its state.json names "${filename}", outside the folder`);
    }
    return join(folder, filename);
  });
}

/** The named split, else `train`, else the only one. */
export function chooseSplit(available: readonly string[], wanted: string | undefined, dataset: string): string {
  const [only] = available;
  const chosen = wanted ?? (available.includes('train') ? 'train' : available.length === 1 ? only : undefined);
  if (chosen === undefined || !available.includes(chosen)) {
    const problem = wanted === undefined ? 'several splits and none is chosen' : `no split "${wanted}"`;
    throw new InputError(
      `Cannot read dataset "${dataset}": ${problem}; it has ${[...new Set(available)].join(', ') || 'none'}`,
    );
  }
  return chosen;
}

async function readJson<T>(path: string, schema: z.ZodType<T>): Promise<T | null> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch {
    return null;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch (error) {
    throw new InputError(`Cannot read "${path}": ${messageOf(error)}`, { cause: error });
  }
}
