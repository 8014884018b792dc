import { isRecord } from '../row.js';
import type { Message, Role } from '../sample.js';
import { ANSWER_COLUMNS, findUnanswered, type Pair } from './conversation-column.js';
import { createMessage, readMessage } from './message.js';
import { SIDE_COLUMNS, toolsOf, withSystem } from './messages.js';
import type { RowContext, Schema } from './schema.js';
import { asText, decodeJson, isAbsent, RowProblem, wrong } from './shape.js';

const PROMPTS = ['prompt', 'question', 'query', 'problem', 'instruction', 'input', 'user'];
const REASONINGS = ['reasoning_content', 'reasoning', 'thinking', 'thought', 'analysis', 'cot'];

/** Values of a `reasoning` column that say whether there was any. */
const SWITCHES = new Set(['on', 'off', 'true', 'false', 'yes', 'no']);

/** The recipe's two columns, in order; else a conversation with its answer beside it; else the usual names. */
function pairOf(context: RowContext): Pair | null {
  const { row, columns } = context;
  if (columns !== null) {
    const [prompt, answer] = columns;
    return columns.length === 2 && prompt !== undefined && answer !== undefined ? { prompt, answer } : null;
  }
  const unanswered = findUnanswered(context);
  if (unanswered !== null) return unanswered;
  const prompt = PROMPTS.find((column) => isPrompt(row[column]));
  const answer = ANSWER_COLUMNS.find((column) => isReply(row[column]));
  return prompt === undefined || answer === undefined ? null : { prompt, answer };
}

/** A text, or the conversation so far. */
function isPrompt(value: unknown): boolean {
  const decoded = decodeJson(value);
  return (
    typeof value === 'string' || (Array.isArray(decoded) && decoded.some((item) => isRecord(item) && 'role' in item))
  );
}

/** A text, or messages. */
function isReply(value: unknown): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.length > 0 && value.every(isRecord));
}

/** One exchange in two columns, reasoning perhaps in a third; either may be messages. */
export const promptAnswerSchema: Schema = {
  name: 'prompt_answer',
  matches(context) {
    const pair = pairOf(context);
    return pair !== null && isPrompt(context.row[pair.prompt]) && isReply(context.row[pair.answer]);
  },
  columns(context) {
    const pair = requirePair(context);
    return [pair.prompt, pair.answer, ...REASONINGS, ...SIDE_COLUMNS];
  },
  normalize(context) {
    const { row } = context;
    const { prompt, answer } = requirePair(context);
    const messages = [...turnsOf(context, prompt, 'user'), ...answerOf(context, prompt, answer)];
    return { content: { kind: 'messages', messages: withSystem(messages, row, []), tools: toolsOf(context) } };
  },
};

function requirePair(context: RowContext): Pair {
  const pair = pairOf(context);
  if (pair !== null) return pair;
  const got = context.columns?.join(', ') ?? Object.keys(context.row).join(', ');
  throw new RowProblem([], `wanted two columns, a prompt and its answer, got ${got}`);
}

function answerOf(context: RowContext, prompt: string, answer: string): readonly Message[] {
  const turns = turnsOf(context, answer, 'assistant');
  const reasoning = reasoningOf(context, [prompt, answer]);
  const [only] = turns;
  if (reasoning === null || only?.role !== 'assistant' || turns.length > 1) return turns;
  const { content, toolCalls: calls } = only;
  return [createMessage({ role: 'assistant', content, reasoning, calls, path: [answer] })];
}

/** A column's messages; a text is one of `role`. */
function turnsOf({ row, columnar }: RowContext, column: string, role: Role): readonly Message[] {
  const value = row[column];
  const decoded = decodeJson(value);
  if (Array.isArray(decoded) && decoded.some(isRecord)) {
    return decoded.map((item: unknown, index) =>
      isRecord(item) ? readMessage(item, [column, index], columnar) : wrong([column, index], 'a message', item),
    );
  }
  return [createMessage({ role, content: asText(value, [column]), path: [column] })];
}

function reasoningOf({ row }: RowContext, taken: readonly string[]): string | null {
  for (const column of REASONINGS) {
    const value = row[column];
    if (taken.includes(column) || isAbsent(value) || typeof value !== 'string') continue;
    if (value.trim() !== '' && !SWITCHES.has(value.trim().toLowerCase())) return value;
  }
  return null;
}
