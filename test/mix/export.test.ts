import { readFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import { expect, it } from 'vitest';
import { exportMix } from '../../src/mix/export.js';
import { readMix } from '../../src/mix/read.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';

const tokenizer = await loadTokenizer('test/models/polyglot-moe-18m');
const folder = await mkdtemp(join(tmpdir(), 'evenkeel-export-'));
const sequences = ['<|im_start|>user\nΓεια<|im_end|>\n', 'Second text.'].map((text, index): Sequence => {
  const inputIds = tokenizer.encode(text);
  const channels = new Uint8Array(inputIds.length);
  return {
    inputIds,
    channels,
    language: 'el',
    category: 'c',
    source: 's',
    revision: null,
    license: null,
    recordId: String(index),
    window: 0,
  };
});

it('writes ids and masks that llm-compressor takes as they are', async () => {
  const { path, usage } = await exportMix('llm-compressor', folder, sequences, tokenizer);
  const table = tableFromIPC(readFileSync(join(path, 'data-00000-of-00001.arrow')));
  expect(table.schema.names).toEqual(['input_ids', 'attention_mask']);
  expect(table.toArray().map((row) => JSON.parse(JSON.stringify(row)))).toEqual(
    sequences.map(({ inputIds }) => ({ input_ids: [...inputIds], attention_mask: Array(inputIds.length).fill(1) })),
  );
  expect(usage).toContain(`max_seq_length=${Math.max(...sequences.map(({ inputIds }) => inputIds.length))}`);
});

it('writes JSONL for GPTQModel, which audit reads too', async () => {
  const { path } = await exportMix('gptqmodel', folder, sequences, tokenizer);
  const { sequences: back } = await readMix(path);
  expect(back.map(({ inputIds }) => inputIds)).toEqual(sequences.map(({ inputIds }) => inputIds));
});

it('writes text for llama-imatrix, special tokens spelt out', async () => {
  const { path } = await exportMix('imatrix', folder, sequences, tokenizer);
  expect(readFileSync(path, 'utf8')).toBe('<|im_start|>user\nΓεια<|im_end|>\n\nSecond text.\n');
});
