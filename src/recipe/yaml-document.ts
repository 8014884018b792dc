import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
  type Document,
  type Node,
  type Pair,
} from 'yaml';
import { InputError, type Location } from '../errors.js';

/** Keys and list positions from a document's root to a value. */
export type KeyPath = readonly (string | number)[];

/** A YAML file as plain data that still knows where everything stood. */
export interface YamlDocument {
  readonly file: string;
  readonly data: unknown;
  /** Where the value at a path begins; of its key, where `part` is `key`. Falls back to the nearest parent. */
  locate(path: KeyPath, part?: 'key' | 'value'): Location;
}

/** Aliases may repeat a prefix hundreds of times, as calibration sets do; a billion laughs needs many more. */
const MAX_ALIASES = 10_000;

/** `--set` writes here: `mix.sources[0].weight=2`, its value in YAML. */
const ASSIGNMENT = /^([^=]+)=(.*)$/su;

/**
 * Parses YAML, with `key.path=value` assignments put over it.
 *
 * @throws InputError with line and column for a syntax error, a repeated key, or an unknown anchor
 */
export function parseYaml(text: string, file: string, assignments: readonly string[] = []): YamlDocument {
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, merge: true, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) {
    const [{ line, col }] = error.linePos ?? [{ line: 1, col: 1 }];
    const message = error.message.split('\n', 1)[0]?.replace(/ at line \d+, column \d+:?$/u, '') ?? '';
    throw new InputError(`Cannot parse the YAML: ${message}`, { location: { file, line, column: col }, cause: error });
  }
  visit(document, {
    Alias(_, alias) {
      if (alias.resolve(document) !== undefined) return;
      const { line, col } = lineCounter.linePos(alias.range?.[0] ?? 0);
      throw new InputError(`Cannot parse the YAML: no anchor "${alias.source}" before its alias`, {
        location: { file, line, column: col },
      });
    },
  });
  const assigned = new Map<string, string>();
  for (const assignment of assignments) {
    const path = assign(document, assignment);
    assigned.set(JSON.stringify(path), assignment);
  }
  return {
    file,
    data: toData(document, file),
    locate(path, part = 'value') {
      for (let length = path.length; length > 0; length--) {
        const assignment = assigned.get(JSON.stringify(path.slice(0, length)));
        if (assignment !== undefined) return { file: `--set ${assignment}` };
      }
      const offset = offsetOf(document, path, part);
      const { line, col } = lineCounter.linePos(offset);
      return { file, line, column: col };
    },
  };
}

function toData(document: Document.Parsed, file: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    throw new InputError(`Cannot read the YAML: ${error instanceof Error ? error.message : String(error)}`, {
      location: { file, line: 1, column: 1 },
      cause: error,
    });
  }
}

function assign(document: Document.Parsed, assignment: string): (string | number)[] {
  const match = ASSIGNMENT.exec(assignment);
  const keys = match?.[1]?.trim();
  if (keys === undefined || keys === '')
    throw new InputError(`Cannot apply --set "${assignment}": wanted key.path=value`);
  const path = keys
    .split(/\.|(?=\[)/u)
    .filter((key) => key !== '')
    .map((key) => {
      const index = /^\[(\d+)\]$/u.exec(key)?.[1];
      return index === undefined ? key : Number(index);
    });
  const value = parseDocument(match?.[2] ?? '');
  if (value.errors.length > 0) {
    throw new InputError(`Cannot apply --set "${assignment}": its value is not YAML`, { cause: value.errors[0] });
  }
  try {
    document.setIn(path, document.createNode(value.toJS()));
  } catch (error) {
    throw new InputError(`Cannot apply --set "${assignment}": there is no "${keys}" to set it in`, { cause: error });
  }
  return path;
}

function offsetOf(document: Document.Parsed, path: KeyPath, part: 'key' | 'value'): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [depth, key] of path.entries()) {
    const target: Node | null | undefined = isAlias(node) ? node.resolve(document) : node;
    if (isMap(target)) {
      const pair: Pair | undefined = target.items.find((item) => keyOf(item) === String(key));
      if (pair === undefined) return offset;
      const keyOffset: number | undefined = isScalar(pair.key) ? pair.key.range?.[0] : undefined;
      const value: Node | null = isNode(pair.value) ? pair.value : null;
      const useKey = value === null || (part === 'key' && depth === path.length - 1);
      offset = (useKey ? keyOffset : (value.range?.[0] ?? keyOffset)) ?? offset;
      node = value;
    } else if (isSeq(target)) {
      const item: unknown = target.items[Number(key)];
      if (!isNode(item)) return offset;
      offset = item.range?.[0] ?? offset;
      node = item;
    } else {
      return offset;
    }
  }
  return offset;
}

function keyOf(pair: Pair): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

function isNode(value: unknown): value is Node {
  return isMap(value) || isSeq(value) || isScalar(value) || isAlias(value);
}
