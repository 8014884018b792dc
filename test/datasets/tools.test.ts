import { Ajv } from 'ajv';
import addFormats from 'ajv-formats';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { rowsOf, SET_NAMES, type Row } from './shipped.js';

const schemas = z.array(
  z.object({
    type: z.literal('function'),
    function: z.object({ name: z.string(), description: z.string(), parameters: z.record(z.string(), z.json()) }),
  }),
);

/** Every fault of a row's calls: against their schemas, and against the order of calls and results. */
function faultsOf(row: Row): string[] {
  const ajv = new Ajv({ allErrors: true, strict: true, allowUnionTypes: true });
  addFormats.default(ajv);
  const validators = new Map(
    schemas
      .parse(JSON.parse(row.tools ?? '[]'))
      .map(({ function: { name, parameters } }) => [name, ajv.compile(parameters)]),
  );
  const faults: string[] = [];
  const fault = (reason: string) => faults.push(`${row.record_id}: ${reason}`);
  const seen = new Set<string>();
  const open = new Map<string, string>();
  for (const { role, tool_calls: calls, tool_call_id: answered, name } of row.messages) {
    if (role === 'tool') {
      if (answered === null || open.get(answered) !== name) fault(`a result of "${name}" answers no open call`);
      if (answered !== null) open.delete(answered);
      continue;
    }
    for (const [id, called] of open) fault(`call ${id} to "${called}" has no result`);
    open.clear();
    for (const { id, function: call } of calls ?? []) {
      if (role !== 'assistant') fault(`${role} makes a call`);
      if (!/^[A-Za-z0-9]{9}$/u.test(id) || seen.has(id)) fault(`id "${id}"`);
      seen.add(id);
      open.set(id, call.name);
      const validate = validators.get(call.name);
      if (validate === undefined) fault(`no tool is called "${call.name}"`);
      else if (!validate(JSON.parse(call.arguments))) fault(`${call.name}: ${ajv.errorsText(validate.errors)}`);
    }
  }
  // An agent may end by calling its closing tool, which returns nothing.
  for (const [id, called] of open) if (called !== 'finish') fault(`call ${id} to "${called}" has no result`);
  return faults;
}

describe.each(SET_NAMES)('%s', (set) => {
  it('pairs every call with one result, and gives arguments that are valid under the schema', () => {
    expect(rowsOf(set).flatMap(faultsOf)).toEqual([]);
  });
});

it('finds a call whose arguments are wrong, and one without a result', () => {
  const [row] = rowsOf('tool-calling').filter(({ record_id: id }) => id === 'tool-calling/el-1-diarroi-deya');
  if (row === undefined) throw new Error('the row is gone');
  const wrong = { ...row, tools: (row.tools ?? '').replaceAll('"maximum":30', '"maximum":6') };
  expect(faultsOf(wrong).join()).toContain('must be <= 6');
  expect(faultsOf({ ...row, messages: row.messages.toSpliced(3, 1) }).join()).toContain('has no result');
});
