import { describe, expect, it } from 'vitest';
import type { Sample } from '../../src/data/sample.js';
import { applyFormatter, stableHash } from '../../src/recipe/formatter.js';
import { parseRecipe } from '../../src/recipe/load.js';

const file = '/recipes/set.yaml';
const set = `calibration_set:
  _templates:
    spoken: &spoken "Answer in {{ ['Arabic', 'Greek', 'Hindi'][hash(row|string) % 3] }}\\n***\\n"
  max_seq_length: 8192
  shuffle: true
  seed: 7
  datasets:
    - dataset: org/chat
      split: train_sft
      columns: [messages]
      formatter: chat_completion
      num_samples: 8
    - dataset: org/thoughts
      subset: full
      split: train
      columns: [user]
      formatter: raw_text
      num_samples: all
      streaming: true
      formatter_params:
        prefix: *spoken
    - dataset: org/pairs
      split: train
      columns: [instruction, response]
      formatter: prompt_answer
      num_samples: 2
`;
const given = ['model=./m', 'output=./o'];
const sample = (content: Sample['content']): Sample => ({
  content,
  language: null,
  category: null,
  origin: { source: 's', revision: null, license: null, recordId: '1' },
});

describe('a calibration_set: file', () => {
  it('builds as it is, model and output given beside it', async () => {
    const { mix, notes } = await parseRecipe(set, file, given);
    expect(mix).toMatchObject({ seed: 7, sequenceLength: 8192, overflow: 'truncate', tokens: null });
    expect(mix.sources.map(({ name, format, samples, columns }) => ({ name, format, samples, columns }))).toEqual([
      { name: 'org/chat', format: 'messages', samples: 8, columns: ['messages'] },
      { name: 'org/thoughts/full', format: 'raw_text', samples: 'all', columns: ['user'] },
      { name: 'org/pairs', format: 'prompt_answer', samples: 2, columns: ['instruction', 'response'] },
    ]);
    expect(notes.map(({ message }) => message)).toEqual([
      expect.stringContaining('drawn by seed'),
      expect.stringContaining('stable hash'),
      expect.stringContaining('all rows of a streamed dataset'),
    ]);
  });

  it('stands in place of mix', async () => {
    const { mix } = await parseRecipe(`model: m/m\noutput: o\nmix:\n${set.replaceAll(/^/gmu, '  ')}`, file);
    expect(mix.sources).toHaveLength(3);
  });

  it.each([
    [
      set.replace('formatter: raw_text', 'formatter: raw_txt'),
      ':17:18: Cannot use "raw_txt" for "calibration_set.datasets[1].formatter"',
    ],
    [
      set.replace('columns: [instruction, response]', 'columns: [instruction]'),
      'Cannot use formatter "prompt_answer" with 1 columns: wanted 2',
    ],
    [set.replace('% 3', '% 4'), 'it chooses among 4, but its list has 3'],
    [
      set.replace('num_samples: 8', 'num_sample: 8'),
      'Unknown key "num_sample" in "calibration_set.datasets[0]"; did you mean "num_samples"?',
    ],
    [set.replace('{{ [', '{% [').replace('hash', 'h'), 'Cannot parse the prefix as a template'],
  ])('refuses what it cannot honour (%#)', async (text, message) => {
    await expect(parseRecipe(text, file, given)).rejects.toThrow(message);
  });
});

const prefix = "Answer in {{ ['Arabic', 'Greek', 'Hindi'][hash(row|string) % 3] }}: ";
const choose = (text: string) =>
  JSON.stringify(applyFormatter(sample({ kind: 'text', text }), { name: 'raw_text', prefix }).content);

describe('applyFormatter()', () => {
  it('makes a user turn of the prefix and an assistant turn of raw text', () => {
    const { content } = applyFormatter(sample({ kind: 'text', text: 'Γεια' }), { name: 'raw_text', prefix });
    expect(content).toMatchObject({
      kind: 'messages',
      messages: [
        { role: 'user', content: expect.stringMatching(/^Answer in \w+: $/u) },
        { role: 'assistant', content: 'Γεια' },
      ],
    });
  });

  it('puts the prefix before the first user message', () => {
    const messages = [
      { role: 'system' as const, content: 'S' },
      { role: 'user' as const, content: 'U' },
    ];
    const { content } = applyFormatter(sample({ kind: 'messages', messages, tools: null }), {
      name: 'chat_completion',
      prefix: 'P ',
    });
    expect(content).toMatchObject({ messages: [{ content: 'S' }, { content: 'P U' }] });
  });

  it('chooses the same prefix for the same row in every run, and different ones for different rows', () => {
    expect(choose('a')).toBe(choose('a'));
    expect(new Set(Array.from({ length: 30 }, (_, i) => choose(String(i)).match(/Answer in \w+/u)?.[0])).size).toBe(3);
    expect(stableHash('evenkeel')).toBe(stableHash('evenkeel'));
  });
});
