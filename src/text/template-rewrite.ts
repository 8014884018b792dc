import type { Template } from '@huggingface/jinja';
import { capitalize, strip } from './python-strings.js';

/**
 * String methods that `@huggingface/jinja` 0.5 does not do as Python does: its strip, lstrip and rstrip ignore their
 * argument (so that `content.lstrip('\n')` also eats the indentation of code), trim knows another white space, and
 * capitalize leaves the rest of the word as it is. Calls of them become calls of these functions.
 */
export const PYTHON_STRINGS: Readonly<Record<string, (...values: unknown[]) => unknown>> = {
  python_strip: (text, characters) => stripped(text, characters, 'both'),
  python_lstrip: (text, characters) => stripped(text, characters, 'left'),
  python_rstrip: (text, characters) => stripped(text, characters, 'right'),
  python_trim: (text, characters) => stripped(text, characters, 'both'),
  python_capitalize: (text) => capitalize(asString(text, 'capitalize')),
};

const METHODS = new Set(['strip', 'lstrip', 'rstrip', 'capitalize']);
const FILTERS = new Set(['trim', 'capitalize']);

/** Rewrites a parsed template in place. */
export function rewriteStringMethods(parsed: Template['parsed']): void {
  visit(parsed);
}

function visit(node: unknown): void {
  if (Array.isArray(node)) {
    for (const item of node) visit(item);
    return;
  }
  if (!isNode(node)) return;
  for (const child of Object.values(node)) visit(child);
  const { callee, filter } = node;
  if (
    node['type'] === 'CallExpression' &&
    isNode(callee) &&
    callee['type'] === 'MemberExpression' &&
    callee['computed'] === false
  ) {
    const name = nameOf(callee['property'], METHODS);
    if (name === null) return;
    node['args'] = [callee['object'], ...(Array.isArray(node['args']) ? node['args'] : [])];
    node['callee'] = identifier(name);
  } else if (node['type'] === 'FilterExpression') {
    const name = nameOf(filter, FILTERS);
    if (name === null) return;
    const { operand } = node;
    node['type'] = 'CallExpression';
    node['callee'] = identifier(name);
    node['args'] = [operand];
  }
}

function nameOf(node: unknown, names: ReadonlySet<string>): string | null {
  return isNode(node) && node['type'] === 'Identifier' && typeof node['value'] === 'string' && names.has(node['value'])
    ? node['value']
    : null;
}

function identifier(name: string): object {
  return { type: 'Identifier', value: `python_${name}` };
}

function isNode(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function stripped(text: unknown, characters: unknown, ends: 'both' | 'left' | 'right'): string {
  return strip(asString(text, 'strip'), typeof characters === 'string' ? characters : null, ends);
}

function asString(value: unknown, method: string): string {
  if (typeof value === 'string') return value;
  throw new TypeError(`'${value === null || value === undefined ? 'None' : typeof value}' has no ${method}()`);
}
