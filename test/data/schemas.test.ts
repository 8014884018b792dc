import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { detectSchema, normalizeRow } from '../../src/data/normalize.js';
import { SCHEMA_NAMES, schemaNamed } from '../../src/data/schemas/index.js';
import { parseTerminusResponse } from '../../src/data/schemas/terminus-response.js';

interface Golden {
  readonly row: Readonly<Record<string, unknown>>;
  readonly columns?: readonly string[];
  readonly columnar?: boolean;
  readonly format?: string;
  readonly expected?: unknown;
  /** Beginning of what is said about the row, path first. */
  readonly error?: string;
}

const folder = fileURLToPath(new URL('schemas', import.meta.url));

/** As JSON sees it: typed arrays as lists. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, each: unknown) => (each instanceof Int32Array ? Array.from(each) : each)),
  );
}

it('has golden rows for every schema', () => {
  expect(readdirSync(folder).sort()).toEqual([...SCHEMA_NAMES].sort());
});

describe.each(readdirSync(folder))('%s', (name) => {
  it.each(readdirSync(`${folder}/${name}`))('%s', (file) => {
    const golden: Golden = JSON.parse(readFileSync(`${folder}/${name}/${file}`, 'utf8'));
    const context = { row: golden.row, columns: golden.columns ?? null, columnar: golden.columnar ?? false };
    if (golden.error !== undefined) {
      const normalize = () =>
        normalizeRow(schemaNamed(golden.format ?? name), context, 'org/set', 'row 7 of "part.jsonl"');
      expect(normalize).toThrow(InputError);
      expect(normalize).toThrow(`Cannot use row 7 of "part.jsonl" of dataset "org/set" as ${name}: ${golden.error}`);
      return;
    }
    if (golden.format === undefined) expect(detectSchema(context)?.name).toBe(name);
    const schema = schemaNamed(golden.format ?? name);
    const result = normalizeRow(schema, context, 'org/set', 'row 7');
    expect(plain(result)).toEqual(golden.expected);
    // Reading only the columns that the schema asks for gives the same.
    const wanted = new Set(schema?.columns(context));
    const row = Object.fromEntries(Object.entries(golden.row).filter(([key]) => wanted.has(key)));
    expect(plain(normalizeRow(schema, { ...context, row }, 'org/set', 'row 7'))).toEqual(golden.expected);
  });
});

describe('parseTerminusResponse()', () => {
  it('reads keystrokes verbatim, tags and entities in them included', () => {
    const keystrokes = 'cat <<EOF > a.xml\n<plan>x</plan> &amp; <response>\nEOF\n';
    const response = parseTerminusResponse(
      `Sure.\n<response><analysis> A </analysis><plan>P</plan><commands><keystrokes duration="2.5">${keystrokes}</keystrokes>` +
        '<command><keystrokes>q</keystrokes></command></commands><task_complete>true</task_complete></response>',
    );
    expect(response).toEqual({
      analysis: 'A',
      plan: 'P',
      commands: [
        { keystrokes, duration: 2.5 },
        { keystrokes: 'q', duration: 1 },
      ],
      taskComplete: true,
    });
  });

  it('reads the JSON twin, completion as a string too', () => {
    const response = {
      analysis: 'a',
      plan: 'p',
      commands: [{ keystrokes: 'C-c', duration: '0.5' }],
      task_complete: 'true',
    };
    expect(parseTerminusResponse(`ok: ${JSON.stringify(response)}`)).toEqual({
      analysis: 'a',
      plan: 'p',
      commands: [{ keystrokes: 'C-c', duration: 0.5 }],
      taskComplete: true,
    });
  });

  it('is null for anything else', () => {
    for (const text of ['', 'hello', '{"commands": 3}', '{"a": 1}', '<response></response>', '<response>']) {
      expect(parseTerminusResponse(text)).toBeNull();
    }
  });
});
