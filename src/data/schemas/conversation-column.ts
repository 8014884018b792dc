import { isRecord, type RowValue } from '../row.js';
import { findList, requireList, type FoundList } from './find-list.js';
import { OPENAI_ROLES } from './message.js';
import type { RowContext } from './schema.js';
import { decodeJson } from './shape.js';

/** Columns that usually hold the messages; others are found by what they hold. */
const USUAL_COLUMNS = [
  'messages',
  'conversations',
  'conversation',
  'dialogue',
  'chat',
  'trajectory',
  'history',
  'chosen',
];

/** Columns with a system prompt. */
const SYSTEM_COLUMNS: readonly string[] = ['system', 'system_prompt'];

/** Columns that usually hold the answer to a prompt in another one. */
export const ANSWER_COLUMNS = [
  'answer',
  'response',
  'completion',
  'output',
  'solution',
  'generation',
  'assistant',
] as const;

function isMessage(item: RowValue): boolean {
  return (
    typeof item['role'] === 'string' &&
    OPENAI_ROLES.has(item['role']) &&
    ['content', 'tool_calls', 'reasoning_content'].some((key) => key in item)
  );
}

/** The column with a row's chat messages in OpenAI's form; null where there is none. */
export function findConversation(context: RowContext): FoundList | null {
  return findList(context, USUAL_COLUMNS, isMessage);
}

/** {@link findConversation}; throws RowProblem. */
export function requireConversation(context: RowContext): FoundList {
  return requireList(context, USUAL_COLUMNS, isMessage, 'a list of messages');
}

export interface Pair {
  readonly prompt: string;
  readonly answer: string;
}

/**
 * A conversation that breaks off before the answer, which stands in a column beside it: TRL's `prompt` and `completion` (or
 * `chosen`), Nemotron's `input` and `output`. Taken for the whole conversation, it would lose its answer without a word.
 */
export function findUnanswered(context: RowContext): Pair | null {
  const { row, columns } = context;
  if (columns !== null && columns.length !== 2) return null;
  const names = columns ?? ['prompt', 'input', ...USUAL_COLUMNS, ...Object.keys(row)];
  for (const prompt of names) {
    const found = findList({ ...context, columns: [prompt] }, [], isMessage);
    if (found === null || !endsWithQuestion(found.items)) continue;
    const answers = columns?.slice(columns.indexOf(prompt) + 1) ?? [...ANSWER_COLUMNS, 'chosen'];
    const answer = answers.find((column) => column !== prompt && isAnswer(row[column], column));
    if (answer !== undefined) return { prompt, answer };
  }
  return null;
}

/** A trajectory may well end with a tool's message; what stands beside it is a patch or a verdict. */
function endsWithQuestion(items: readonly unknown[]): boolean {
  const last = items.at(-1);
  return isRecord(last) && last['role'] === 'user';
}

/** A text, or messages that begin with the assistant's. A text under `chosen` often repeats its prompt: no answer. */
function isAnswer(value: unknown, column: string): boolean {
  if (SYSTEM_COLUMNS.includes(column)) return false;
  const decoded = decodeJson(value);
  if (!Array.isArray(decoded)) return typeof value === 'string' && column !== 'chosen';
  const [first]: readonly unknown[] = decoded;
  return isRecord(first) && first['role'] === 'assistant';
}
