import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeFolder } from '../make-folder.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { toArrowFiles } from './arrow.js';
import { writeFileAtomically } from './atomic-file.js';
import { modelInputColumns } from './columns.js';
import type { Sequence } from './sequence.js';

/** Tools that a mix can be written for. */
export const EXPORTS = ['llm-compressor', 'gptqmodel', 'imatrix'] as const;
export type ExportKind = (typeof EXPORTS)[number];

/** What was written, and how the tool is given it. */
export interface Exported {
  readonly path: string;
  readonly usage: string;
}

/**
 * Writes the sequences as another tool takes them, in `folder`:
 *
 * - `llm-compressor`: a `save_to_disk` folder of `input_ids` and `attention_mask`, which `oneshot` does not tokenize anew;
 * - `gptqmodel`: JSONL of the same, as `GPTQModel.quantize` takes a list of;
 * - `imatrix`: the text, special tokens spelt out. llama.cpp cuts it into contexts of its own, so sequences lie on.
 */
export async function exportMix(
  kind: ExportKind,
  folder: string,
  sequences: readonly Sequence[],
  tokenizer: Pick<Tokenizer, 'decode'>,
): Promise<Exported> {
  await makeFolder(folder);
  if (kind === 'llm-compressor') return exportArrow(join(folder, 'llm-compressor'), sequences);
  if (kind === 'gptqmodel') return exportLines(join(folder, 'gptqmodel.jsonl'), sequences);
  return exportText(join(folder, 'imatrix.txt'), sequences, tokenizer);
}

async function exportArrow(path: string, sequences: readonly Sequence[]): Promise<Exported> {
  await makeFolder(path);
  // load_from_disk begins with state.json: without it a folder does not look finished.
  await rm(join(path, 'state.json'), { force: true });
  for (const { name, content } of await toArrowFiles(modelInputColumns(sequences))) {
    await writeFileAtomically(join(path, name), content);
  }
  const longest = sequences.reduce((most, { inputIds }) => Math.max(most, inputIds.length), 0);
  return {
    path,
    usage: `oneshot(model, dataset=datasets.load_from_disk(${JSON.stringify(path)}), recipe=…, num_calibration_samples=${sequences.length}, max_seq_length=${longest})`,
  };
}

async function exportLines(path: string, sequences: readonly Sequence[]): Promise<Exported> {
  const lines = sequences.map(({ inputIds }) => {
    const ids = Array.from(inputIds);
    return `${JSON.stringify({ input_ids: ids, attention_mask: ids.map(() => 1) })}\n`;
  });
  await writeFileAtomically(path, lines.join(''));
  return { path, usage: `model.quantize([json.loads(line) for line in open(${JSON.stringify(path)})])` };
}

async function exportText(
  path: string,
  sequences: readonly Sequence[],
  tokenizer: Pick<Tokenizer, 'decode'>,
): Promise<Exported> {
  await writeFileAtomically(path, sequences.map(({ inputIds }) => `${tokenizer.decode(inputIds)}\n`).join(''));
  return { path, usage: `llama-imatrix -m MODEL.gguf -f ${JSON.stringify(path)} --parse-special` };
}
