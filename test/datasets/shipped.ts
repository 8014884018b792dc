import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import type { SetName } from '../../datasets/row-source.js';
import { readSource } from '../../src/data/read-source.js';
import type { Message, Sample } from '../../src/data/sample.js';

export const SET_NAMES = [
  'languages',
  'multilingual-dialogues',
  'coding-agent',
  'terminal-agent',
  'tool-calling',
] as const satisfies readonly SetName[];

const toolCall = z.strictObject({
  id: z.string(),
  type: z.literal('function'),
  function: z.strictObject({ name: z.string(), arguments: z.string() }),
});

const message = z.strictObject({
  role: z.enum(['system', 'user', 'assistant', 'tool']),
  content: z.string().nullable(),
  reasoning_content: z.string().nullable(),
  tool_calls: z.array(toolCall).nullable(),
  tool_call_id: z.string().nullable(),
  name: z.string().nullable(),
});

const row = z.strictObject({
  messages: z.array(message),
  tools: z.string().nullable(),
  language: z.string(),
  category: z.string(),
  source: z.string(),
  license: z.string(),
  record_id: z.string(),
});
export type Row = z.infer<typeof row>;

export function compiledPath(set: SetName, ending: 'jsonl' | 'parquet'): string {
  return fileURLToPath(new URL(`../../datasets/${set}/${set}.${ending}`, import.meta.url));
}

/** The rows of a set as its JSONL holds them. */
export function rowsOf(set: SetName): Row[] {
  return readFileSync(compiledPath(set, 'jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => row.parse(JSON.parse(line)));
}

/** The rows of a set as a recipe's `builtin:<set>` reads them, from the Parquet. */
export async function samplesOf(set: SetName): Promise<Sample[]> {
  const samples: Sample[] = [];
  for await (const sample of readSource({ dataset: `builtin:${set}` }, { seed: 0 })) samples.push(sample);
  return samples;
}

export function recordOf({ origin }: Sample): string {
  return origin.recordId;
}

export function messagesOf({ content }: Sample): readonly Message[] {
  return content.kind === 'messages' ? content.messages : [];
}

/** Everything a row says in its own language: what people and the assistant write. */
export function spokenText(sample: Sample): string {
  return messagesOf(sample)
    .filter(({ role, content }) => (role === 'user' || role === 'assistant') && content !== null)
    .map(({ content }) => content)
    .join('\n');
}

export function reasoningText(sample: Sample): string {
  return messagesOf(sample)
    .flatMap(({ reasoningContent }) => reasoningContent ?? [])
    .join('\n');
}
