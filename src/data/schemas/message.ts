import type { Message, Role } from '../sample.js';
import { readContent } from './content.js';
import { reasoningOf, splitInlineReasoning } from './reasoning.js';
import { asOptionalText, isAbsent, RowProblem, wrong, type Path } from './shape.js';
import { readToolCall, readToolCalls } from './tools.js';

/** OpenAI's roles, with `function` and Llama's `ipython`, the older names of `tool`. */
export const OPENAI_ROLES: ReadonlyMap<string, Role> = new Map<string, Role>([
  ['system', 'system'],
  ['developer', 'developer'],
  ['user', 'user'],
  ['assistant', 'assistant'],
  ['tool', 'tool'],
  ['function', 'tool'],
  ['ipython', 'tool'],
]);

export function readRole(value: unknown, roles: ReadonlyMap<string, Role>, path: Path): Role {
  const role = typeof value === 'string' ? roles.get(value.trim().toLowerCase()) : undefined;
  return role ?? wrong(path, `one of ${[...roles.keys()].join(', ')}`, value);
}

/** A message in OpenAI's form, reasoning and content in any of theirs. */
export function readMessage(
  message: Readonly<Record<string, unknown>>,
  path: Path,
  columnar: boolean,
  roles: ReadonlyMap<string, Role> = OPENAI_ROLES,
): Message {
  const role = readRole(message['role'], roles, [...path, 'role']);
  const content = readContent(message['content'], [...path, 'content']);
  const toolCalls = readToolCalls(message['tool_calls'], [...path, 'tool_calls'], columnar);
  const legacy = message['function_call'];
  const calls = isAbsent(legacy) || toolCalls.length > 0 ? toolCalls : [readToolCall(legacy, path, columnar)];
  const reasoning = reasoningOf(message, path) ?? content.reasoning;
  if (role !== 'assistant' && calls.length > 0) wrong([...path, 'tool_calls'], `none in a ${role} message`, calls);
  return createMessage({
    role,
    content: content.text,
    reasoning,
    calls,
    toolCallId: asOptionalText(message['tool_call_id'], [...path, 'tool_call_id']),
    name: asOptionalText(message['name'], [...path, 'name']),
    path,
  });
}

export interface MessageParts {
  readonly role: Role;
  readonly content: string | null;
  readonly reasoning?: string | null;
  readonly calls?: Message['toolCalls'];
  readonly toolCallId?: string | null;
  readonly name?: string | null;
  readonly path: Path;
}

/** Puts a message together; reasoning that stands inline in an assistant's content is split off. */
export function createMessage({ role, content, reasoning, calls = [], toolCallId, name, path }: MessageParts): Message {
  const none = reasoning === null || reasoning === undefined;
  const inline = role === 'assistant' && none && content !== null ? splitInlineReasoning(content) : null;
  const thought = none ? (inline?.reasoning ?? '') : reasoning;
  const text = inline === null ? content : inline.answer;
  if (text === null && calls.length === 0 && thought === '' && role !== 'tool') {
    throw new RowProblem(
      path,
      `${role === 'assistant' ? 'an' : 'a'} ${role} message needs content${role === 'assistant' ? ' or tool_calls' : ''}`,
    );
  }
  return {
    role,
    content: text,
    ...(thought === '' ? {} : { reasoningContent: thought }),
    ...(calls.length === 0 ? {} : { toolCalls: calls }),
    ...(isAbsent(toolCallId) || toolCallId === '' ? {} : { toolCallId }),
    ...(isAbsent(name) || name === '' ? {} : { name }),
  };
}
