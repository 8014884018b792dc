import { isRecord, type RowValue } from '../row.js';
import type { Message, Role } from '../sample.js';
import { readContent } from './content.js';
import { findUnanswered } from './conversation-column.js';
import { findList, requireList } from './find-list.js';
import { createMessage, readRole } from './message.js';
import { SIDE_COLUMNS, toolsOf, withSystem } from './messages.js';
import { reasoningOf } from './reasoning.js';
import type { Schema } from './schema.js';
import { asList, asText, decodeJson, isAbsent, RowProblem, wrong, type Path } from './shape.js';
import { readToolCall, readToolCalls } from './tools.js';

const USUAL_COLUMNS = ['conversations', 'conversation', 'messages', 'dialog', 'dialogue', 'items', 'chosen'];

/** Who speaks, under every name seen in published sets. A name that is not here is an error, never a silent user. */
const SPEAKERS: ReadonlyMap<string, Role> = new Map<string, Role>(
  (
    [
      ['system', ['system', 'system_prompt']],
      ['developer', ['developer']],
      ['user', ['human', 'user', 'prompter', 'question', 'instruction']],
      [
        'assistant',
        ['gpt', 'assistant', 'chatgpt', 'bot', 'bing', 'bard', 'claude', 'model', 'ai', 'answer', 'response'],
      ],
      ['tool', ['tool', 'function', 'observation', 'tool_response', 'function_response', 'ipython', 'tool_results']],
    ] as const
  ).flatMap(([role, names]) => names.map((name): [string, Role] => [name, role])),
);

/** Turns that are nothing but a call (LLaMA-Factory's dialect). */
const CALL_SPEAKERS = new Set(['function_call', 'tool_call', 'function-call', 'tool-call']);

const SPEAKER_KEYS = ['from', 'role', 'speaker', 'author'] as const;
const TEXT_KEYS = ['value', 'content', 'text', 'message'] as const;
const PAIR_KEYS = [
  ['human', 'assistant'],
  ['human', 'gpt'],
  ['user', 'assistant'],
  ['question', 'answer'],
] as const;

function pairOf(item: RowValue): (typeof PAIR_KEYS)[number] | null {
  return PAIR_KEYS.find(([ask, reply]) => typeof item[ask] === 'string' && typeof item[reply] === 'string') ?? null;
}

function isTurn(item: RowValue): boolean {
  const speaks = SPEAKER_KEYS.some((key) => typeof item[key] === 'string') && TEXT_KEYS.some((key) => key in item);
  return speaks || pairOf(item) !== null;
}

/**
 * ShareGPT in its dialects: `conversations[{from, value}]`; the same under `role`, `content` and other names; one item per
 * exchange (`{human, assistant}`); calls as turns of their own.
 */
export const sharegptSchema: Schema = {
  name: 'sharegpt',
  matches: (context) => findList(context, USUAL_COLUMNS, isTurn) !== null && findUnanswered(context) === null,
  columns: (context) => [requireList(context, USUAL_COLUMNS, isTurn, 'a list of turns').column, ...SIDE_COLUMNS],
  normalize(context) {
    const { column, items } = requireList(context, USUAL_COLUMNS, isTurn, 'a list of turns');
    const messages = items.flatMap((item, index) => {
      const path = [column, index];
      return isRecord(item) ? readTurn(item, path, context.columnar) : wrong(path, 'a turn', item);
    });
    return {
      content: { kind: 'messages', messages: withSystem(messages, context.row, []), tools: toolsOf(context) },
    };
  },
};

function readTurn(item: RowValue, path: Path, columnar: boolean): readonly Message[] {
  const speakerKey = SPEAKER_KEYS.find((key) => !isAbsent(item[key]));
  const pair = speakerKey === undefined ? pairOf(item) : null;
  if (pair !== null) {
    const [ask, reply] = pair;
    return [
      createMessage({ role: 'user', content: asText(item[ask], [...path, ask]), path }),
      createMessage({ role: 'assistant', content: asText(item[reply], [...path, reply]), path }),
    ];
  }
  if (speakerKey === undefined) throw new RowProblem(path, `wanted a speaker (${SPEAKER_KEYS.join(', ')})`);
  const textKey = TEXT_KEYS.find((key) => !isAbsent(item[key])) ?? 'value';
  const textPath = [...path, textKey];
  const speaker = item[speakerKey];
  if (typeof speaker === 'string' && CALL_SPEAKERS.has(speaker.toLowerCase())) {
    return [
      createMessage({ role: 'assistant', content: null, calls: readCalls(item[textKey], textPath, columnar), path }),
    ];
  }
  const { text, reasoning } = readContent(item[textKey], textPath);
  const name = item['name'];
  return [
    createMessage({
      role: readRole(speaker, SPEAKERS, [...path, speakerKey]),
      content: text,
      reasoning: reasoningOf(item, path) ?? reasoning,
      calls: readToolCalls(item['tool_calls'], [...path, 'tool_calls'], columnar),
      toolCallId: isAbsent(item['tool_call_id']) ? null : asText(item['tool_call_id'], [...path, 'tool_call_id']),
      name: typeof name === 'string' ? name : null,
      path,
    }),
  ];
}

/** One call, or a list of them, as JSON. */
function readCalls(value: unknown, path: Path, columnar: boolean) {
  const decoded = decodeJson(value);
  return Array.isArray(decoded)
    ? asList(decoded, path).map((call, index) => readToolCall(call, [...path, index], columnar))
    : [readToolCall(decoded, path, columnar)];
}
