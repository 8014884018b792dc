import { isRecord, type RowValue } from '../row.js';
import type { JsonObject, Message, ToolCall } from '../sample.js';
import { readContent } from './content.js';
import { findList, requireList } from './find-list.js';
import { createMessage, readMessage } from './message.js';
import { reasoningOf } from './reasoning.js';
import type { Schema } from './schema.js';
import { asRecord, asText, isAbsent, RowProblem, wrong, type Path } from './shape.js';
import { readToolCall, readTools } from './tools.js';

const USUAL_COLUMNS = ['history', 'events', 'conversation', 'trajectory'];

const MESSAGE_KINDS = new Set([
  'SystemPromptEvent',
  'MessageEvent',
  'ActionEvent',
  'ObservationEvent',
  'AgentErrorEvent',
  'UserRejectObservation',
]);

function isEvent(item: RowValue): boolean {
  return typeof item['kind'] === 'string' && /Event$|Observation$/u.test(item['kind']);
}

/**
 * A conversation of the OpenHands V1 SDK: events told apart by `kind`. Actions of one model response (`llm_response_id`)
 * are one assistant message with parallel calls; events about the scaffold's state are left out.
 */
export const openHandsConversationSchema: Schema = {
  name: 'openhands_conversation',
  matches: (context) => findList(context, USUAL_COLUMNS, isEvent) !== null,
  columns: (context) => [requireList(context, USUAL_COLUMNS, isEvent, 'a list of events').column],
  normalize(context) {
    const { column, items } = requireList(context, USUAL_COLUMNS, isEvent, 'a list of events');
    const messages: Message[] = [];
    let tools: readonly JsonObject[] | null = null;
    let response: unknown = null;
    for (const [index, item] of items.entries()) {
      const path = [column, index];
      const event = asRecord(item, path);
      const kind = asText(event['kind'], [...path, 'kind']);
      if (!MESSAGE_KINDS.has(kind)) {
        if (!isEvent(event)) wrong([...path, 'kind'], 'an event', kind);
        continue;
      }
      const last = messages.at(-1);
      if (
        kind === 'ActionEvent' &&
        !isAbsent(response) &&
        event['llm_response_id'] === response &&
        last !== undefined
      ) {
        messages[messages.length - 1] = { ...last, toolCalls: [...(last.toolCalls ?? []), callOf(event, path)] };
        continue;
      }
      if (kind === 'SystemPromptEvent') tools = declaredTools(event['tools'], [...path, 'tools']);
      messages.push(readEvent(kind, event, path));
      response = kind === 'ActionEvent' ? event['llm_response_id'] : null;
    }
    if (messages.length === 0) throw new RowProblem([column], 'no event of it reaches the model');
    return { content: { kind: 'messages', messages, tools }, category: 'coding_agent' };
  },
};

function readEvent(kind: string, event: RowValue, path: Path): Message {
  switch (kind) {
    case 'SystemPromptEvent': {
      const prompt = textOf(event['system_prompt'], [...path, 'system_prompt']);
      const dynamic = textOf(event['dynamic_context'], [...path, 'dynamic_context']);
      return createMessage({ role: 'system', content: prompt + dynamic, path });
    }
    case 'MessageEvent': {
      const message = readMessage(asRecord(event['llm_message'], [...path, 'llm_message']), path, true);
      const extension = textOf(event['extended_content'], [...path, 'extended_content']);
      return extension === '' ? message : { ...message, content: (message.content ?? '') + extension };
    }
    case 'ActionEvent': {
      const thought = textOf(event['thought'], [...path, 'thought']);
      return createMessage({
        role: 'assistant',
        content: thought === '' ? null : thought,
        reasoning: reasoningOf(event, path),
        calls: [callOf(event, path)],
        path,
      });
    }
    default:
      return createMessage({
        role: 'tool',
        content: resultOf(kind, event, path),
        toolCallId: asText(event['tool_call_id'], [...path, 'tool_call_id']),
        name: asText(event['tool_name'], [...path, 'tool_name']),
        path,
      });
  }
}

function resultOf(kind: string, event: RowValue, path: Path): string {
  if (kind === 'AgentErrorEvent') return asText(event['error'], [...path, 'error']);
  if (kind === 'UserRejectObservation') {
    return `Action rejected: ${asText(event['rejection_reason'], [...path, 'rejection_reason'])}`;
  }
  const observation = asRecord(event['observation'], [...path, 'observation']);
  const content = observation['content'] ?? observation['output'] ?? observation['text'];
  return textOf(content, [...path, 'observation']) + textOf(event['extended_content'], [...path, 'extended_content']);
}

/** The call as the model wrote it: the SDK's own form keeps name and arguments beside the id. */
function callOf(event: RowValue, path: Path): ToolCall {
  const place = [...path, 'tool_call'];
  if (isRecord(event['tool_call'])) return readToolCall(event['tool_call'], place, true);
  return readToolCall(
    { id: event['tool_call_id'], name: event['tool_name'], arguments: withoutKind(event['action']) },
    place,
    true,
  );
}

function withoutKind(action: unknown): unknown {
  if (!isRecord(action)) return action;
  const { kind: _, ...rest } = action;
  return rest;
}

/** A text, a text part, or a list of them. */
function textOf(value: unknown, path: Path): string {
  return readContent(value, path).text ?? '';
}

/** Schemas where the dump kept them; later versions keep only the names of Python classes, of which nothing can be made. */
function declaredTools(value: unknown, path: Path): readonly JsonObject[] | null {
  if (!Array.isArray(value)) return null;
  const complete = value.filter((tool) => isRecord(tool) && ('function' in tool || 'parameters' in tool));
  return readTools(complete, path, true);
}
