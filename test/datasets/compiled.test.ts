import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { shipRow, toJsonLines, toParquet } from '../../datasets/columns.js';
import { parseRowSource, SETS } from '../../datasets/row-source.js';
import { compiledPath, rowsOf, samplesOf, SET_NAMES } from './shipped.js';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

function script(name: string): Promise<{ stdout: string; stderr: string }> {
  return run(process.execPath, ['--import', 'tsx', `datasets/${name}`, '--check'], { cwd: ROOT });
}

describe.each(SET_NAMES)('%s', (set) => {
  const folder = `${ROOT}/datasets/${set}/rows`;
  const names = readdirSync(folder).sort((a, b) => (a < b ? -1 : 1));
  const compile = () =>
    names.map((name) =>
      shipRow(parseRowSource(readFileSync(`${folder}/${name}`, 'utf8'), name, SETS[set]), set, name.slice(0, -5)),
    );

  it('compiles to the same bytes on every run, which are the bytes that ship', () => {
    const [first, second] = [compile(), compile()];
    expect(toJsonLines(first)).toBe(toJsonLines(second));
    expect(Buffer.from(toParquet(first)).equals(toParquet(second))).toBe(true);
    expect(readFileSync(compiledPath(set, 'jsonl'), 'utf8') === toJsonLines(first), 'JSONL up to date').toBe(true);
    expect(readFileSync(compiledPath(set, 'parquet')).equals(toParquet(first)), 'Parquet up to date').toBe(true);
  });

  it('reads the same from Parquet as from JSONL', async () => {
    const samples = await samplesOf(set);
    expect(samples.map(({ origin }) => origin.recordId)).toEqual(rowsOf(set).map((row) => row.record_id));
    for (const [index, row] of rowsOf(set).entries()) {
      const content = samples[index]?.content;
      if (content?.kind !== 'messages') throw new Error(`${row.record_id} is read as ${content?.kind}`);
      const { messages, tools } = content;
      expect(tools).toEqual(row.tools === null ? null : JSON.parse(row.tools));
      expect(messages).toEqual(
        row.messages.map((each) => ({
          role: each.role,
          content: each.content,
          ...(each.reasoning_content !== null && { reasoningContent: each.reasoning_content }),
          ...(each.tool_calls !== null && {
            toolCalls: each.tool_calls.map((call) => ({
              id: call.id,
              name: call.function.name,
              arguments: JSON.parse(call.function.arguments),
            })),
          }),
          ...(each.tool_call_id !== null && { toolCallId: each.tool_call_id }),
          ...(each.name !== null && { name: each.name }),
        })),
      );
    }
  });

  it('names category, source and licence in every row, and repeats no id', () => {
    const rows = rowsOf(set);
    expect(new Set(rows.map((row) => row.record_id)).size).toBe(rows.length);
    for (const row of rows) {
      expect(row).toMatchObject({ category: SETS[set], source: `evenkeel/${set}`, license: 'CC-BY-4.0' });
      expect(row.record_id.startsWith(`${set}/`)).toBe(true);
      expect(row.language).toMatch(/^[a-z]{3}(-[A-Z][a-z]{3})?$/u);
    }
  });
});

it('compile.ts --check finds nothing out of date', async () => {
  const { stderr } = await script('compile.ts');
  expect(stderr).not.toContain('out of date');
});

it('card-tables.ts --check finds every card up to date', async () => {
  const { stderr } = await script('card-tables.ts');
  expect(stderr).not.toContain('out of date');
  for (const set of SET_NAMES) {
    expect(readFileSync(`${ROOT}/datasets/${set}/README.md`, 'utf8')).toMatch(/\| \*\*all\*\* \| \d+ \|/u);
  }
});
