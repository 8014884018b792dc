import { isRecord, type RowValue } from '../row.js';
import { findList } from './find-list.js';
import { messagesSchema } from './messages.js';
import type { RowContext, Schema } from './schema.js';
import { sharegptSchema } from './sharegpt.js';
import { decodeJson, toJson } from './shape.js';
import { parseTerminusResponse } from './terminus-response.js';

const USUAL_COLUMNS = ['conversations', 'messages', 'trajectory'];

/**
 * Terminus-2 trajectories: a conversation whose assistant turns hold the agent's answers, as XML or as JSON. The turns stay
 * as they are, byte for byte, because that is what the model writes and reads; answers stored as objects are printed.
 */
export const terminusSchema: Schema = {
  name: 'terminus',
  matches: (context) => findList(context, USUAL_COLUMNS, isAnswer) !== null,
  columns: (context) => base(context).columns(printed(context)),
  normalize(context) {
    const whole = printed(context);
    return { category: 'terminal_agent', content: base(whole).normalize(whole).content };
  },
};

function isAnswer(item: RowValue): boolean {
  const text = item['content'] ?? item['value'];
  if (isRecord(text)) return 'commands' in text;
  const speaker = item['role'] ?? item['from'];
  if (typeof text !== 'string' || (speaker !== 'assistant' && speaker !== 'gpt')) return false;
  return parseTerminusResponse(text) !== null;
}

function base(context: RowContext): Schema {
  return messagesSchema.matches(context) ? messagesSchema : sharegptSchema;
}

/** The row with answers that are objects as the JSON text they stand for. */
function printed(context: RowContext): RowContext {
  const found = findList(context, USUAL_COLUMNS, isAnswer);
  if (found === null) return context;
  const items = found.items.map((item, index) => {
    if (!isRecord(item)) return item;
    const key = 'content' in item ? 'content' : 'value';
    const answer = decodeJson(item[key]);
    if (!isRecord(item[key])) return item;
    return { ...item, [key]: JSON.stringify(toJson(answer, [found.column, index, key], context.columnar), null, 2) };
  });
  return { ...context, row: { ...context.row, [found.column]: items } };
}
