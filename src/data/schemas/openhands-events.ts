import { isRecord, type RowValue } from '../row.js';
import type { JsonObject, Message, ToolCall } from '../sample.js';
import { readContent } from './content.js';
import { findList } from './find-list.js';
import { createMessage } from './message.js';
import { reasoningOf } from './reasoning.js';
import type { FoundList } from './find-list.js';
import type { RowContext, Schema } from './schema.js';
import { asOptionalText, decodeJson, isAbsent, RowProblem, toJsonObject, wrong, type Path } from './shape.js';
import { readToolCalls, readTools } from './tools.js';

const USUAL_COLUMNS = ['history', 'events', 'trajectory'];

/** The tool that OpenHands' CodeActAgent offers for an action. */
const TOOLS: Readonly<Record<string, string>> = {
  run: 'execute_bash',
  run_ipython: 'execute_ipython_cell',
  edit: 'str_replace_editor',
  read: 'str_replace_editor',
  write: 'str_replace_editor',
  browse: 'browser',
  browse_interactive: 'browser',
  think: 'think',
  finish: 'finish',
};

/** Arguments that the scaffold adds; the model never wrote them. */
const BOOKKEEPING = new Set([
  'thought',
  'blocking',
  'is_static',
  'is_input',
  'hidden',
  'cwd',
  'confirmation_state',
  'security_risk',
  'impl_source',
  'kernel_init_code',
  'include_extra',
  'return_axtree',
  'agent_state',
  'wait_for_response',
]);

/** Events about the scaffold, which never reach the model. */
const SILENT = new Set([
  'agent_state_changed',
  'change_agent_state',
  'recall',
  'null',
  'condensation',
  'condensation_request',
  'delegate',
  'start_hook',
]);

function isEvent(item: RowValue): boolean {
  const kind = item['action'] ?? item['observation'];
  return typeof kind === 'string' && ('args' in item || 'extras' in item || 'content' in item) && !('role' in item);
}

/** Evaluation dumps pair every action with its observation. */
function eventsOf(context: RowContext): FoundList | null {
  for (const column of context.columns ?? [...USUAL_COLUMNS, ...Object.keys(context.row)]) {
    const items = decodeJson(context.row[column]);
    if (Array.isArray(items) && Array.isArray(items[0])) {
      const flat: readonly unknown[] = items.flat();
      if (flat.some((item) => isRecord(item) && isEvent(item))) return { column, items: flat };
    }
  }
  return findList(context, USUAL_COLUMNS, isEvent);
}

function requireEvents(context: RowContext): FoundList {
  const found = eventsOf(context);
  if (found !== null) return found;
  throw new RowProblem([], `wanted a column with a list of events, got ${Object.keys(context.row).join(', ')}`);
}

/**
 * OpenHands V0 events: `{id, source, action, args}` and `{cause, observation, content, extras}`. Messages are rebuilt: from
 * the model's own response where `tool_call_metadata` keeps it, else from the action.
 */
export const openHandsEventsSchema: Schema = {
  name: 'openhands_events',
  matches: (context) => eventsOf(context) !== null,
  columns: (context) => [requireEvents(context).column, 'tools', 'instruction'],
  normalize(context) {
    const { column, items } = requireEvents(context);
    const messages: Message[] = [];
    const responses = new Set<string>();
    let tools = readTools(context.row['tools'], ['tools'], context.columnar);
    for (const [index, item] of items.entries()) {
      const path = [column, index];
      if (!isRecord(item)) wrong(path, 'an event', item);
      const kind = item['action'] ?? item['observation'];
      if (typeof kind !== 'string') wrong([...path, 'action'], 'an action or an observation', kind);
      if (SILENT.has(kind)) continue;
      const args = isRecord(item['args']) ? item['args'] : {};
      if (typeof item['observation'] === 'string') {
        messages.push(readObservation(item, path));
      } else if (kind === 'system') {
        tools ??= readTools(args['tools'], [...path, 'args', 'tools'], context.columnar);
        messages.push(createMessage({ role: 'system', content: textOf(args['content'], path), path }));
      } else if (kind === 'message' && item['source'] === 'user') {
        messages.push(createMessage({ role: 'user', content: textOf(args['content'] ?? item['message'], path), path }));
      } else {
        const message = readAction(item, kind, args, path, context.columnar, responses);
        if (message !== null) messages.push(message);
      }
    }
    const instruction = context.row['instruction'];
    const asked = messages.some(({ role }) => role === 'user');
    if (!asked && typeof instruction === 'string') {
      const at = messages[0]?.role === 'system' ? 1 : 0;
      messages.splice(at, 0, createMessage({ role: 'user', content: instruction, path: ['instruction'] }));
    }
    if (messages.length === 0) throw new RowProblem([column], 'no event of it reaches the model');
    return { content: { kind: 'messages', messages, tools }, category: 'coding_agent' };
  },
};

function textOf(value: unknown, path: Path): string {
  return readContent(value, [...path, 'content']).text ?? '';
}

/** An agent's event; null for one whose response another event has given already (parallel calls). */
function readAction(
  item: RowValue,
  kind: string,
  args: RowValue,
  path: Path,
  columnar: boolean,
  responses: Set<string>,
): Message | null {
  const metadata = isRecord(item['tool_call_metadata']) ? item['tool_call_metadata'] : {};
  const response = isRecord(metadata['model_response']) ? metadata['model_response'] : {};
  const choice: unknown = Array.isArray(response['choices']) ? response['choices'][0] : undefined;
  const own = isRecord(choice) && isRecord(choice['message']) ? choice['message'] : null;
  if (own !== null) {
    const id = typeof response['id'] === 'string' ? response['id'] : null;
    if (id !== null && responses.has(id)) return null;
    if (id !== null) responses.add(id);
    return createMessage({
      role: 'assistant',
      content: readContent(own['content'], [...path, 'tool_call_metadata']).text,
      reasoning: reasoningOf(own, path),
      calls: readToolCalls(own['tool_calls'], [...path, 'tool_call_metadata', 'tool_calls'], columnar),
      path,
    });
  }
  if (kind === 'message') return createMessage({ role: 'assistant', content: textOf(args['content'], path), path });
  const name = asOptionalText(metadata['function_name'], path) ?? TOOLS[kind];
  if (name === undefined) wrong([...path, 'action'], `one of ${Object.keys(TOOLS).join(', ')}`, kind);
  const thought = asOptionalText(args['thought'], [...path, 'args', 'thought']);
  const call: ToolCall = { id: callId(item, item['id']), name, arguments: argumentsOf(args, path) };
  // What the agent thinks is the argument of `think`.
  const thinks = kind === 'think';
  return createMessage({
    role: 'assistant',
    content: thinks || thought === '' ? null : thought,
    calls: [thinks ? { ...call, arguments: { thought: thought ?? '' } } : call],
    path,
  });
}

function argumentsOf(args: RowValue, path: Path): JsonObject {
  const written = Object.entries(args).filter(([key, value]) => !BOOKKEEPING.has(key) && !isAbsent(value));
  return toJsonObject(Object.fromEntries(written), [...path, 'args'], true);
}

function readObservation(item: RowValue, path: Path): Message {
  const kind = item['observation'];
  const content = textOf(item['content'] ?? item['message'], path);
  // What the user says between steps comes as an observation, too.
  if (kind === 'message' || item['source'] === 'user') return createMessage({ role: 'user', content, path });
  const metadata = isRecord(item['tool_call_metadata']) ? item['tool_call_metadata'] : {};
  const name = asOptionalText(metadata['function_name'], path) ?? (typeof kind === 'string' ? TOOLS[kind] : undefined);
  return createMessage({ role: 'tool', content, toolCallId: callId(item, item['cause']), name: name ?? null, path });
}

function callId(item: RowValue, event: unknown): string | null {
  const metadata = isRecord(item['tool_call_metadata']) ? item['tool_call_metadata'] : {};
  if (typeof metadata['tool_call_id'] === 'string') return metadata['tool_call_id'];
  return isAbsent(event) ? null : `call_${String(Number(event))}`;
}
