import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readSource } from '../../src/data/read-source.js';
import type { Sample } from '../../src/data/sample.js';
import { applyFormatter } from '../../src/recipe/formatter.js';
import { loadRecipe } from '../../src/recipe/load.js';

const ROWS: Readonly<Record<string, readonly object[]>> = {
  chat: [
    {
      messages: [
        { role: 'user', content: 'Q1' },
        { role: 'assistant', content: 'A1', reasoning_content: 'why' },
      ],
    },
  ],
  share: [
    {
      conversations: [
        { from: 'human', value: 'Q2' },
        { from: 'gpt', value: 'A2' },
      ],
    },
  ],
  pairs: [{ instruction: 'Q3', response: 'A3' }],
  text: [{ content: 'fn main() {}' }],
  system: [
    {
      system: 'S5',
      conversations: [
        { from: 'user', value: 'Q5' },
        { from: 'assistant', value: 'A5' },
      ],
    },
  ],
  contests: [{ name: 'x', description: 'Q6', solutions: { language: [3], solution: ['print(6)'] } }],
};

const SET = `calibration_set:
  _templates:
    - &explain "Explain this:\\n***\\n"
  max_seq_length: 512
  datasets:
    - {dataset: ./chat.jsonl, split: train, columns: [messages], formatter: chat_completion, num_samples: 1}
    - {dataset: ./share.jsonl, split: train, columns: [conversations], formatter: sharegpt, num_samples: all}
    - {dataset: ./pairs.jsonl, split: train, columns: [instruction, response], formatter: prompt_answer, num_samples: 1}
    - {dataset: ./text.jsonl, split: train, columns: [content], formatter: raw_text, num_samples: 1, formatter_params: {prefix: *explain}}
    - {dataset: ./system.jsonl, split: train, columns: [system, conversations], formatter: chat_completion_with_sysprompt, num_samples: 1}
    - {dataset: ./contests.jsonl, split: train, columns: [name], formatter: deepmind_code_contests, num_samples: 1}
`;

describe('a calibration set on real files', () => {
  it('gives the messages that each formatter promises', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'evenkeel-set-'));
    for (const [name, rows] of Object.entries(ROWS)) {
      await writeFile(join(folder, `${name}.jsonl`), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    }
    await writeFile(join(folder, 'set.yaml'), SET);
    const { mix } = await loadRecipe(join(folder, 'set.yaml'), ['model=./m', 'output=./o']);
    const samples: Sample[] = [];
    for (const source of mix.sources) {
      const spec = {
        dataset: source.dataset,
        name: source.name,
        columns: source.columns ?? undefined,
        format: source.format,
        samples: source.samples,
      };
      for await (const sample of readSource(spec, { seed: mix.seed })) {
        samples.push(source.formatter === null ? sample : applyFormatter(sample, source.formatter));
      }
    }
    const contents = samples.map(({ content }) =>
      content.kind === 'messages' ? content.messages.map(({ role, content: text }) => `${role}: ${text}`) : [],
    );
    expect(contents).toEqual([
      ['user: Q1', 'assistant: A1'],
      ['user: Q2', 'assistant: A2'],
      ['user: Q3', 'assistant: A3'],
      ['user: Explain this:\n***\n', 'assistant: fn main() {}'],
      ['system: S5', 'user: Q5', 'assistant: A5'],
      ['user: Q6', 'assistant: ```python\nprint(6)\n```'],
    ]);
  });
});
