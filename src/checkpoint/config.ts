import { InputError } from '../errors.js';
import { isJsonObject, parseJsonObject, type JsonObject } from './json-file.js';

/** Marks a number that is carried through as text; U+E000 is for private use and stands in no config. */
const MARK = '\uE000';
const NUMBER = /-?\b\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|-?\bInfinity\b|\bNaN\b/g;
/** Python writes these for floats, though JSON has none: state-space models' `time_step_limit: [0.0, Infinity]`. */
const PYTHON_NUMBER = /-?\bInfinity\b|\bNaN\b/g;

/** Parses a config.json as Python wrote it: Infinity is read as such, NaN as null. */
export function parseConfig(text: string, file: string): JsonObject {
  const json = outsideStrings(text, (part) =>
    part.replace(PYTHON_NUMBER, (token) => (token === 'NaN' ? 'null' : token.replace('Infinity', '1e999'))),
  );
  return parseJsonObject(json, file);
}

/**
 * The output's config.json: the source's with its quantization settings replaced, wherever they stood; a multimodal
 * model gets them at the top level, where runtimes look. Every other value keeps its spelling: transformers tells 0.0
 * from 0 and refuses a config whose float became an integer, and Python's Infinity is not JSON at all.
 *
 * @param text the source's config.json
 * @param changes further top-level values to set
 */
export function quantizedConfig(text: string, quantization: JsonObject, changes: JsonObject = {}): string {
  const config = withoutQuantization(parseSpelled(text, 'config.json'));
  const nested = Object.entries(config).map(([key, value]): [string, unknown] =>
    key.endsWith('_config') && isJsonObject(value) ? [key, withoutQuantization(value)] : [key, value],
  );
  const result = { ...Object.fromEntries(nested), ...changes, quantization_config: quantization };
  return `${JSON.stringify(result, null, 2).replace(new RegExp(`"${MARK}([^"]*)"`, 'g'), '$1')}\n`;
}

/** A config whose numbers are strings as they are spelled behind a mark, so that 0.0 and 0 differ. */
export function parseSpelled(text: string, file: string): JsonObject {
  if (text.includes(MARK)) throw new InputError(`read config '${file}': it holds U+E000, which marks numbers here`);
  const marked = outsideStrings(text, (part) => part.replace(NUMBER, (number) => `"${MARK}${number}"`));
  return parseJsonObject(marked, file);
}

function withoutQuantization(config: JsonObject): JsonObject {
  const dropped = new Set(['quantization_config', 'compression_config']);
  return Object.fromEntries(Object.entries(config).filter(([key]) => !dropped.has(key)));
}

/** Rewrites what stands between the string literals of a JSON text. */
function outsideStrings(text: string, rewrite: (part: string) => string): string {
  let result = '';
  for (let position = 0; position < text.length;) {
    const quote = text.indexOf('"', position);
    if (quote < 0) return result + rewrite(text.slice(position));
    let end = quote + 1;
    while (end < text.length && text[end] !== '"') end += text[end] === '\\' ? 2 : 1;
    result += rewrite(text.slice(position, quote)) + text.slice(quote, end + 1);
    position = end + 1;
  }
  return result;
}
