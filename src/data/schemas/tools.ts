import type { JsonObject, ToolCall } from '../sample.js';
import { isRecord } from '../row.js';
import { asList, asRecord, asText, decodeJson, isAbsent, RowProblem, toJsonObject, wrong, type Path } from './shape.js';

/**
 * Tool schemas in OpenAI's form: a list, or a JSON string of one, of schemas or JSON strings of them; bare functions
 * (`{name, parameters}`) are wrapped. null where there are none.
 */
export function readTools(value: unknown, path: Path, columnar: boolean): readonly JsonObject[] | null {
  if (isAbsent(value) || value === '') return null;
  const tools = asList(value, path).map((tool, index) => readTool(tool, [...path, index], columnar));
  return tools.length === 0 ? null : tools;
}

function readTool(value: unknown, path: Path, columnar: boolean): JsonObject {
  const tool = asRecord(value, path);
  const bare = isAbsent(tool['function']) && typeof tool['name'] === 'string';
  const definition = bare ? tool : asRecord(tool['function'], [...path, 'function']);
  asText(definition['name'], [...path, 'function', 'name']);
  const parameters = definition['parameters'];
  const decoded = typeof parameters === 'string' ? { ...definition, parameters: decodeJson(parameters) } : definition;
  const schema = toJsonObject(decoded, path, columnar);
  return bare ? { type: 'function', function: schema } : { ...toJsonObject(tool, path, columnar), function: schema };
}

/** The calls of an assistant message: OpenAI's form, or bare `{name, arguments}`. */
export function readToolCalls(value: unknown, path: Path, columnar: boolean): readonly ToolCall[] {
  if (isAbsent(value) || value === '') return [];
  return asList(value, path).map((call, index) => readToolCall(call, [...path, index], columnar));
}

export function readToolCall(value: unknown, path: Path, columnar: boolean): ToolCall {
  const call = asRecord(value, path);
  const wrapped = isRecord(call['function']);
  const target = isRecord(call['function']) ? call['function'] : call;
  const place = wrapped ? [...path, 'function'] : path;
  const { id } = call;
  if (!isAbsent(id) && typeof id !== 'string' && typeof id !== 'number') wrong([...path, 'id'], 'a string', id);
  return {
    id: isAbsent(id) || id === '' ? null : String(id),
    name: asText(target['name'], [...place, 'name']),
    arguments: readArguments(target['arguments'] ?? target['parameters'], [...place, 'arguments'], columnar),
  };
}

/** Arguments as an object; a JSON string is parsed, nothing means none. */
export function readArguments(value: unknown, path: Path, columnar: boolean): JsonObject {
  if (isAbsent(value) || value === '') return {};
  if (typeof value === 'string') {
    let parsed: unknown;
    try {
      parsed = JSON.parse(value);
    } catch (error) {
      throw new RowProblem(path, `wanted JSON, ${error instanceof Error ? error.message : String(error)}`);
    }
    // Some writers encode twice.
    const object = typeof parsed === 'string' ? decodeJson(parsed) : parsed;
    if (isAbsent(object)) return {};
    return isRecord(object) ? toJsonObject(object, path, false) : wrong(path, 'a JSON object', parsed);
  }
  return isRecord(value) ? toJsonObject(value, path, columnar) : wrong(path, 'an object or a JSON string', value);
}
