import { isRecord, type RowValue } from '../row.js';
import type { JsonObject, Message, Role, ToolCall } from '../sample.js';
import { readContent } from './content.js';
import { createMessage, readRole } from './message.js';
import { reasoningOf } from './reasoning.js';
import type { RowContext, Schema } from './schema.js';
import { asList, asRecord, asText, decodeJson, isAbsent, RowProblem, wrong, type Path } from './shape.js';
import { readArguments, readTools } from './tools.js';

const SOURCES: ReadonlyMap<string, Role> = new Map<string, Role>([
  ['system', 'system'],
  ['user', 'user'],
  ['agent', 'assistant'],
]);

/** The trajectory: the row itself, or a column that holds it, whole or as JSON. */
function trajectoryOf({
  row,
  columns,
}: RowContext): { readonly value: RowValue; readonly column: string | null } | null {
  if (isTrajectory(row)) return { value: row, column: null };
  for (const column of columns ?? Object.keys(row)) {
    const value = decodeJson(row[column]);
    if (isRecord(value) && isTrajectory(value)) return { value, column };
  }
  return null;
}

function isTrajectory(value: RowValue): boolean {
  const version = value['schema_version'];
  if (typeof version === 'string' && /^ATIF/iu.test(version)) return true;
  const steps = decodeJson(value['steps']);
  return Array.isArray(steps) && isRecord(steps[0]) && 'step_id' in steps[0] && 'source' in steps[0];
}

/**
 * Agent Trajectory Interchange Format, 1.x (Harbor's RFC 0001). Steps copied from an earlier context, and steps that no
 * model wrote (`llm_call_count: 0`), are left out.
 */
export const atifSchema: Schema = {
  name: 'atif',
  matches: (context) => trajectoryOf(context) !== null,
  columns(context) {
    const column = trajectoryOf(context)?.column ?? null;
    return column === null ? ['schema_version', 'steps', 'agent', 'session_id'] : [column];
  },
  normalize(context) {
    const found = trajectoryOf(context);
    if (found === null) throw new RowProblem([], 'wanted an ATIF trajectory (schema_version, steps)');
    const base: Path = found.column === null ? [] : [found.column];
    const version = found.value['schema_version'];
    if (typeof version === 'string' && !/^(ATIF-)?v?1(\.|$)/iu.test(version)) {
      wrong([...base, 'schema_version'], 'ATIF-v1.x', version);
    }
    const agent = found.value['agent'];
    const definitions = isRecord(agent) ? agent['tool_definitions'] : undefined;
    const tools: readonly JsonObject[] | null = readTools(
      definitions,
      [...base, 'agent', 'tool_definitions'],
      context.columnar,
    );
    const steps = asList(found.value['steps'], [...base, 'steps']);
    const messages = steps.flatMap((step, index) => {
      const path = [...base, 'steps', index];
      return readStep(asRecord(step, path), path, context.columnar);
    });
    if (messages.length === 0) throw new RowProblem([...base, 'steps'], 'no step of it reaches the model');
    return { content: { kind: 'messages', messages, tools } };
  },
};

function readStep(step: RowValue, path: Path, columnar: boolean): readonly Message[] {
  if (step['is_copied_context'] === true) return [];
  const role = readRole(step['source'], SOURCES, [...path, 'source']);
  const calls = callsOf(step['tool_calls'], [...path, 'tool_calls'], columnar);
  const scripted = role === 'assistant' && !isAbsent(step['llm_call_count']) && Number(step['llm_call_count']) === 0;
  if (scripted) return [];
  const content = readContent(step['message'], [...path, 'message']).text;
  const reasoning = reasoningOf(step, path);
  const silent = (content === null || content === '') && calls.length === 0 && reasoning === null;
  const message = createMessage({
    role,
    content: content === '' && calls.length > 0 ? null : content,
    reasoning,
    calls,
    path,
  });
  const results = resultsOf(step['observation'], calls, [...path, 'observation']);
  // Observations without a call (a terminal's screen) are what the environment says next.
  return [...(silent ? [] : [message]), ...results];
}

function callsOf(value: unknown, path: Path, columnar: boolean): ToolCall[] {
  if (isAbsent(value)) return [];
  return asList(value, path).map((item, index) => {
    const place = [...path, index];
    const call = asRecord(item, place);
    return {
      id: isAbsent(call['tool_call_id']) ? null : asText(call['tool_call_id'], [...place, 'tool_call_id']),
      name: asText(call['function_name'], [...place, 'function_name']),
      arguments: readArguments(call['arguments'], [...place, 'arguments'], columnar),
    };
  });
}

function resultsOf(value: unknown, calls: readonly ToolCall[], path: Path): Message[] {
  if (isAbsent(value)) return [];
  const { results } = asRecord(value, path);
  if (isAbsent(results)) return [];
  return asList(results, [...path, 'results']).map((item, index) => {
    const place = [...path, 'results', index];
    const result = asRecord(item, place);
    const id = result['source_call_id'];
    const content = readContent(result['content'], [...place, 'content']).text ?? '';
    const call = isAbsent(id) ? undefined : calls.find((each) => each.id === id);
    if (call === undefined && calls.length === 0) return createMessage({ role: 'user', content, path: place });
    const answered = call ?? calls[index];
    return createMessage({
      role: 'tool',
      content,
      toolCallId: answered?.id ?? null,
      name: answered?.name ?? null,
      path: place,
    });
  });
}
