import { isRecord, type RowValue } from '../row.js';
import type { Message } from '../sample.js';
import { findConversation, findUnanswered, requireConversation } from './conversation-column.js';
import { createMessage, readMessage } from './message.js';
import type { RowContext, Schema, SchemaResult } from './schema.js';
import { decodeJson, isAbsent, wrong, type Path } from './shape.js';
import { readTools } from './tools.js';

/**
 * OpenAI's chat messages: `messages[{role, content, tool_calls, tool_call_id, name}]` with `tools`, whether as structs or
 * as JSON strings; reasoning under any of its names.
 */
export const messagesSchema: Schema = {
  name: 'messages',
  matches: (context) => findConversation(context) !== null && findUnanswered(context) === null,
  columns: (context) => [requireConversation(context).column, ...(context.columns ?? []), ...SIDE_COLUMNS],
  normalize(context): SchemaResult {
    const { column, items } = requireConversation(context);
    const messages = items.map((item, index) => {
      const path = [column, index];
      return isRecord(item) ? readMessage(item, path, context.columnar) : wrong(path, 'a message', item);
    });
    return {
      content: { kind: 'messages', messages: withSystem(messages, systemRow(context), []), tools: toolsOf(context) },
    };
  },
};

/** A text among the recipe's columns is the system prompt of the conversation in the other one. */
function systemRow({ row, columns }: RowContext): RowValue {
  const column = columns?.find((each) => typeof row[each] === 'string' && typeof decodeJson(row[each]) === 'string');
  return column === undefined ? row : { ...row, system: row[column] };
}

/** Columns beside the conversation that belong to it. */
export const SIDE_COLUMNS = ['tools', 'system', 'system_prompt', 'functions'];

export function toolsOf(context: RowContext) {
  const { row, columnar } = context;
  const key = isAbsent(row['tools']) && Array.isArray(row['functions']) ? 'functions' : 'tools';
  return readTools(row[key], [key], columnar);
}

/** Puts the row's own system prompt before the conversation, unless that opens with one. */
export function withSystem(messages: readonly Message[], row: RowValue, path: Path): readonly Message[] {
  const prompt = row['system'] ?? row['system_prompt'];
  const first = messages[0]?.role;
  if (typeof prompt !== 'string' || prompt === '' || first === 'system' || first === 'developer') return messages;
  return [createMessage({ role: 'system', content: prompt, path }), ...messages];
}
