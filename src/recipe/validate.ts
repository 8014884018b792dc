import * as z from 'zod';
import { formatLocation, InputError, type Location } from '../errors.js';
import { nearest } from './nearest.js';
import type { KeyPath, YamlDocument } from './yaml-document.js';

/**
 * Checks data of a document against a schema.
 *
 * @param at where in the document the data stands
 * @throws InputError with every problem on its own line, each with file, line and column; for an unknown key, the nearest
 *   valid one
 */
export function validate<S extends z.ZodType>(
  schema: S,
  data: unknown,
  document: YamlDocument,
  at: KeyPath = [],
): z.output<S> {
  const result = schema.safeParse(data, { reportInput: true });
  if (result.success) return result.data;
  const problems = result.error.issues.flatMap((issue) => describe(issue, schema, document, at));
  const [first, ...rest] = problems;
  const others = rest.map(({ message, location }) => `\n${formatLocation(location)}: ${message}`).join('');
  throw new InputError(
    `${first?.message ?? 'the recipe is wrong'}${others}`,
    first === undefined ? {} : { location: first.location },
  );
}

interface Problem {
  readonly message: string;
  readonly location: Location;
}

function describe(issue: z.core.$ZodIssue, schema: z.ZodType, document: YamlDocument, at: KeyPath): Problem[] {
  const path = issue.path.map((key) => (typeof key === 'symbol' ? String(key) : key));
  const full = [...at, ...path];
  const name = formatPath(full);
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path);
    return issue.keys.map((key) => ({
      message: `Unknown key "${key}"${name === '' ? '' : ` in "${name}"`}${suggestion(key, known)}`,
      location: document.locate([...full, key], 'key'),
    }));
  }
  if (issue.code === 'invalid_type' && issue.input === undefined) {
    return [
      {
        message: `Missing key "${name}": wanted ${kindName(issue.expected)}`,
        location: document.locate(full.slice(0, -1)),
      },
    ];
  }
  if (issue.code === 'invalid_value') {
    const values = issue.values.map(String);
    const given = typeof issue.input === 'string' ? issue.input : JSON.stringify(issue.input);
    const near = typeof issue.input === 'string' ? nearest(issue.input, values) : null;
    const hint = near === null ? '' : `; did you mean "${near}"?`;
    return [
      {
        message: `Cannot use "${given}" for "${name}": wanted ${values.join(' or ')}${hint}`,
        location: document.locate(full),
      },
    ];
  }
  if (issue.code === 'invalid_union') {
    const parts = issue.errors.flatMap(([first]) =>
      first === undefined ? [] : [wanted(first).replace(/^wanted /u, '')],
    );
    return [
      {
        message: `Cannot use ${JSON.stringify(issue.input)} for "${name}": wanted ${[...new Set(parts)].join(' or ')}`,
        location: document.locate(full),
      },
    ];
  }
  return [
    {
      message: `Cannot use ${JSON.stringify(issue.input)} for ${name === '' ? 'the recipe' : `"${name}"`}: ${wanted(issue)}`,
      location: document.locate(full),
    },
  ];
}

/** What a value should have been, in words of a recipe rather than of the schema library. */
function wanted(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return `wanted ${kindName(issue.expected)}`;
  if (issue.code === 'invalid_value') return `wanted ${issue.values.map(String).join(' or ')}`;
  if (issue.code === 'too_small' && issue.minimum === 1 && issue.origin === 'array') return 'wanted at least one entry';
  if (issue.code === 'too_small' && issue.minimum === 1 && issue.origin === 'string') return 'wanted some text';
  if (issue.code === 'too_small')
    return `wanted ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}`;
  if (issue.code === 'too_big') return `wanted ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}`;
  return issue.message;
}

const KINDS: ReadonlyMap<string, string> = new Map([
  ['object', 'keys with values'],
  ['record', 'keys with values'],
  ['array', 'a list'],
  ['string', 'text'],
  ['number', 'a number'],
  ['int', 'a whole number'],
  ['boolean', 'true or false'],
]);

function kindName(expected: string): string {
  return KINDS.get(expected) ?? expected;
}

function suggestion(key: string, known: readonly string[]): string {
  if (known.length === 0) return '';
  const near = nearest(key, known);
  return near === null ? `; known keys are ${known.join(', ')}` : `; did you mean "${near}"?`;
}

/** The keys that an object schema at a path knows, seen through defaults, optionals and unions. */
function keysAt(schema: z.core.$ZodType, path: readonly (string | number)[]): string[] {
  const inner = unwrap(schema);
  if (inner instanceof z.ZodUnion) return inner.options.flatMap((option) => keysAt(option, path));
  const [key, ...rest] = path;
  if (key === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : [];
  if (inner instanceof z.ZodArray) return keysAt(inner.element, rest);
  if (inner instanceof z.ZodRecord) return keysAt(inner.valueType, rest);
  if (!(inner instanceof z.ZodObject)) return [];
  const next: unknown = inner.shape[String(key)];
  return next instanceof z.ZodType ? keysAt(next, rest) : [];
}

function unwrap(schema: z.core.$ZodType): z.core.$ZodType {
  if (
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodOptional ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodPrefault
  ) {
    return unwrap(schema.unwrap());
  }
  return schema instanceof z.ZodPipe ? unwrap(schema.in) : schema;
}

/** `mix.sources[1].weight` */
export function formatPath(path: KeyPath): string {
  return path.map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${key}`)).join('');
}
