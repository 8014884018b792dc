import type { Json, Message, ToolCall } from '../data/sample.js';

/** A message as chat templates address it: OpenAI's keys. */
export type TemplateMessage = Readonly<Record<string, Json>>;

/**
 * Templates disagree on two points that no declaration tells: whether a tool call's arguments are an object or a JSON
 * string, and whether absent content is null or "". The first shape that renders is the template's own.
 */
export interface MessageShape {
  readonly arguments: 'object' | 'string';
  readonly absentContent: null | '';
}

export const MESSAGE_SHAPES: readonly MessageShape[] = [
  { arguments: 'object', absentContent: null },
  { arguments: 'object', absentContent: '' },
  { arguments: 'string', absentContent: null },
  { arguments: 'string', absentContent: '' },
];

/** Which spellings a template reads, found in its source. */
export interface TemplateVocabulary {
  readonly reasoningKeys: readonly string[];
  readonly developerRole: boolean;
}

export function templateVocabulary(source: string): TemplateVocabulary {
  const reads = (key: string) => new RegExp(`\\.${key}\\b|['"]${key}['"]`, 'u').test(source);
  return {
    // `reasoning_content` is always given; the others only where they are read, so that no template sees one thing twice.
    reasoningKeys: ['reasoning_content', ...['reasoning', 'thinking'].filter(reads)],
    developerRole: source.includes('developer'),
  };
}

export function toTemplateMessage(
  message: Message,
  shape: MessageShape,
  vocabulary: TemplateVocabulary,
): TemplateMessage {
  const role = message.role === 'developer' && !vocabulary.developerRole ? 'system' : message.role;
  const result: Record<string, Json> = { role, content: message.content ?? shape.absentContent };
  if (message.reasoningContent !== undefined) {
    for (const key of vocabulary.reasoningKeys) result[key] = message.reasoningContent;
  }
  if (message.toolCalls !== undefined && message.toolCalls.length > 0) {
    result['tool_calls'] = message.toolCalls.map((call) => toTemplateCall(call, shape));
  }
  if (message.toolCallId !== undefined) result['tool_call_id'] = message.toolCallId;
  if (message.name !== undefined) result['name'] = message.name;
  return result;
}

function toTemplateCall(call: ToolCall, shape: MessageShape): Json {
  const written = shape.arguments === 'object' ? call.arguments : JSON.stringify(call.arguments);
  return {
    ...(call.id === null ? {} : { id: call.id }),
    type: 'function',
    function: { name: call.name, arguments: written },
  };
}
