import { parseDocument, LineCounter, type Document } from 'yaml';
import { z } from 'zod';
import { InputError } from '../src/errors.js';

/** The sets that ship, and the category that every row of a set carries. */
export const SETS = {
  languages: 'prose',
  'multilingual-dialogues': 'dialogue',
  'coding-agent': 'coding_agent',
  'terminal-agent': 'terminal_agent',
  'tool-calling': 'tool_calling',
} as const;
export type SetName = keyof typeof SETS;

const text = z.string().min(1);

const toolCall = z.strictObject({
  id: text,
  type: z.literal('function'),
  function: z.strictObject({ name: text, arguments: z.record(z.string(), z.json()) }),
});

const message = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content: text }),
  z.strictObject({ role: z.literal('user'), content: text }),
  z.strictObject({
    role: z.literal('assistant'),
    content: text.nullish(),
    reasoning_content: text.optional(),
    tool_calls: z.array(toolCall).min(1).optional(),
  }),
  z.strictObject({ role: z.literal('tool'), content: z.string(), tool_call_id: text, name: text }),
]);

const tool = z.strictObject({
  type: z.literal('function'),
  function: z.strictObject({ name: text, description: text, parameters: z.record(z.string(), z.json()) }),
});

const rowSource = z.strictObject({
  language: z.string().regex(/^[a-z]{3}(-[A-Z][a-z]{3})?$/u, 'wanted ISO 639-3, with a script where needed'),
  category: z.enum(Object.values(SETS)),
  topic: text,
  reasoning_language: z
    .string()
    .regex(/^[a-z]{3}(-[A-Z][a-z]{3})?$/u)
    .optional(),
  tools: z.array(tool).min(1).optional(),
  messages: z.array(message).min(1),
});

export type RowSource = z.infer<typeof rowSource>;
type Message = RowSource['messages'][number];

/**
 * Parses and checks one row: shape, Unicode, tool calls paired with their results.
 *
 * @throws InputError with file:line:column of the first thing that is wrong
 */
export function parseRowSource(yaml: string, file: string, category: string): RowSource {
  const lines = new LineCounter();
  const document = parseDocument(yaml, { lineCounter: lines });
  const locate = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { file, line, column: col };
  };
  const [problem] = document.errors;
  if (problem !== undefined) {
    throw new InputError(`Cannot parse the row: ${problem.message.split('\n', 1)[0]}`, {
      location: locate(problem.pos[0]),
    });
  }
  const fail = (path: readonly PropertyKey[], reason: string): never => {
    throw new InputError(`Cannot take the row: ${path.join('.')}: ${reason}`, {
      location: locate(offsetOf(document, path)),
    });
  };
  const result = rowSource.safeParse(document.toJS());
  if (!result.success) {
    const [issue] = result.error.issues;
    return fail(issue?.path ?? [], issue?.message ?? result.error.message);
  }
  const row = result.data;
  if (row.category !== category) fail(['category'], `wanted "${category}", got "${row.category}"`);
  checkUnicode(yaml, (offset, reason) => {
    throw new InputError(`Cannot take the row: ${reason}`, { location: locate(offset) });
  });
  checkTools(row, fail);
  return row;
}

/** Offset of the node at `path`, or of its nearest ancestor that the file holds. */
function offsetOf(document: Document.Parsed, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length--) {
    const node: unknown = document.getIn(path.slice(0, length), true);
    if (typeof node === 'object' && node !== null && 'range' in node && Array.isArray(node.range)) {
      return Number(node.range[0]);
    }
  }
  return 0;
}

function checkUnicode(yaml: string, fail: (offset: number, reason: string) => never): void {
  const replacement = yaml.indexOf('\uFFFD');
  if (replacement >= 0) fail(replacement, 'it holds a replacement character (U+FFFD)');
  const composed = yaml.normalize('NFC');
  if (composed === yaml) return;
  let offset = 0;
  while (composed[offset] === yaml[offset]) offset++;
  fail(offset, `"${yaml.slice(offset, offset + 2)}" is not in Unicode NFC`);
}

/** Every call names a declared tool and is answered by exactly one tool message before the next turn of another role. */
function checkTools(row: RowSource, fail: (path: PropertyKey[], reason: string) => never): void {
  const declared = new Set(row.tools?.map((each) => each.function.name));
  const seen = new Set<string>();
  let open = new Map<string, string>();
  for (const [index, each] of row.messages.entries()) {
    const path = ['messages', index];
    if (each.role === 'tool') {
      const name = open.get(each.tool_call_id);
      if (name === undefined) fail([...path, 'tool_call_id'], `no open call has the id "${each.tool_call_id}"`);
      if (name !== each.name) fail([...path, 'name'], `the call is to "${name}", the result is from "${each.name}"`);
      open.delete(each.tool_call_id);
      continue;
    }
    if (open.size > 0) fail(path, `the call "${[...open.keys()].join('", "')}" has no result yet`);
    open = new Map();
    for (const call of callsOf(each)) {
      if (seen.has(call.id)) fail(path, `the id "${call.id}" is used twice`);
      if (!declared.has(call.function.name)) fail(path, `no tool is called "${call.function.name}"`);
      seen.add(call.id);
      open.set(call.id, call.function.name);
    }
    if (each.role === 'assistant' && (each.content ?? null) === null && each.tool_calls === undefined) {
      fail(path, 'it has neither content nor tool_calls');
    }
  }
  const final = row.messages.at(-1);
  const closing = final === undefined ? [] : callsOf(final);
  // An agent may end by calling its closing tool, which returns nothing.
  if (closing.some((call) => call.function.name !== 'finish')) fail(['messages'], 'the last calls have no results');
}

function callsOf(each: Message) {
  return each.role === 'assistant' ? (each.tool_calls ?? []) : [];
}
