import type { Message } from '../sample.js';
import { createMessage } from './message.js';
import { withSystem } from './messages.js';
import type { RowContext, Schema } from './schema.js';
import { asList, asOptionalText, asText, isAbsent } from './shape.js';

const ANSWERS = ['output', 'response', 'completion'];

function answerOf({ row }: RowContext): string | undefined {
  return ANSWERS.find((column) => typeof row[column] === 'string');
}

/** Alpaca: `instruction`, often with an `input` that goes below it, and `output`; earlier exchanges under `history`. */
export const alpacaSchema: Schema = {
  name: 'alpaca',
  matches: (context) =>
    typeof context.row['instruction'] === 'string' &&
    answerOf(context) !== undefined &&
    (context.columns === null || context.columns.includes('instruction')),
  columns: (context) => ['instruction', 'input', answerOf(context) ?? 'output', 'system', 'system_prompt', 'history'],
  normalize(context) {
    const { row } = context;
    const instruction = asText(row['instruction'], ['instruction']);
    const input = asOptionalText(row['input'], ['input']);
    const answer = answerOf(context) ?? 'output';
    const messages: Message[] = [
      ...historyOf(row['history']),
      createMessage({
        role: 'user',
        content: input === null || input.trim() === '' ? instruction : `${instruction}\n\n${input}`,
        path: ['instruction'],
      }),
      createMessage({ role: 'assistant', content: asText(row[answer], [answer]), path: [answer] }),
    ];
    return { content: { kind: 'messages', messages: withSystem(messages, row, []), tools: null } };
  },
};

/** Pairs of instruction and answer. */
function historyOf(value: unknown): Message[] {
  if (isAbsent(value) || value === '') return [];
  return asList(value, ['history']).flatMap((pair, index) => {
    const path = ['history', index];
    const [ask, reply] = asList(pair, path);
    return [
      createMessage({ role: 'user', content: asText(ask, [...path, 0]), path }),
      createMessage({ role: 'assistant', content: asText(reply, [...path, 1]), path }),
    ];
  });
}
