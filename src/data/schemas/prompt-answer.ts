import { isRecord } from '../row.js';
import type { Message } from '../sample.js';
import { createMessage, readMessage } from './message.js';
import { withSystem } from './messages.js';
import type { RowContext, Schema } from './schema.js';
import { asText, decodeJson, isAbsent, RowProblem, wrong } from './shape.js';

const PROMPTS = ['prompt', 'question', 'query', 'problem', 'instruction', 'input', 'user'];
const ANSWERS = ['answer', 'response', 'completion', 'output', 'solution', 'generation', 'assistant'];
const REASONINGS = ['reasoning_content', 'reasoning', 'thinking', 'thought', 'analysis', 'cot'];

/** Values of a `reasoning` column that say whether there was any. */
const SWITCHES = new Set(['on', 'off', 'true', 'false', 'yes', 'no']);

interface Pair {
  readonly prompt: string;
  readonly answer: string;
}

/** The recipe's two columns, in order; else the usual names. */
function pairOf({ row, columns }: RowContext): Pair | null {
  if (columns !== null) {
    const [prompt, answer] = columns;
    return columns.length === 2 && prompt !== undefined && answer !== undefined ? { prompt, answer } : null;
  }
  const prompt = PROMPTS.find((column) => isPrompt(row[column]));
  const answer = ANSWERS.find((column) => typeof row[column] === 'string');
  return prompt === undefined || answer === undefined ? null : { prompt, answer };
}

/** A text, or the conversation so far. */
function isPrompt(value: unknown): boolean {
  const decoded = decodeJson(value);
  return (
    typeof value === 'string' || (Array.isArray(decoded) && decoded.some((item) => isRecord(item) && 'role' in item))
  );
}

/** One exchange in two columns, reasoning perhaps in a third. */
export const promptAnswerSchema: Schema = {
  name: 'prompt_answer',
  matches(context) {
    const pair = pairOf(context);
    return pair !== null && isPrompt(context.row[pair.prompt]) && typeof context.row[pair.answer] === 'string';
  },
  columns(context) {
    const pair = requirePair(context);
    return [pair.prompt, pair.answer, ...REASONINGS, 'system', 'system_prompt'];
  },
  normalize(context) {
    const { row } = context;
    const { prompt, answer } = requirePair(context);
    const reply = createMessage({
      role: 'assistant',
      content: asText(row[answer], [answer]),
      reasoning: reasoningOf(context, [prompt, answer]),
      path: [answer],
    });
    const messages = [...promptMessages(context, prompt), reply];
    return { content: { kind: 'messages', messages: withSystem(messages, row, []), tools: null } };
  },
};

function requirePair(context: RowContext): Pair {
  const pair = pairOf(context);
  if (pair !== null) return pair;
  const got = context.columns?.join(', ') ?? Object.keys(context.row).join(', ');
  throw new RowProblem([], `wanted two columns, a prompt and its answer, got ${got}`);
}

function promptMessages({ row, columnar }: RowContext, column: string): readonly Message[] {
  const value = row[column];
  const decoded = decodeJson(value);
  if (Array.isArray(decoded) && decoded.some(isRecord)) {
    return decoded.map((item: unknown, index) =>
      isRecord(item) ? readMessage(item, [column, index], columnar) : wrong([column, index], 'a message', item),
    );
  }
  return [createMessage({ role: 'user', content: asText(value, [column]), path: [column] })];
}

function reasoningOf({ row }: RowContext, taken: readonly string[]): string | null {
  for (const column of REASONINGS) {
    const value = row[column];
    if (taken.includes(column) || isAbsent(value) || typeof value !== 'string') continue;
    if (value.trim() !== '' && !SWITCHES.has(value.trim().toLowerCase())) return value;
  }
  return null;
}
