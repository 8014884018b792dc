import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const tableOf = (text: string) => text.split('\n').filter((line) => line.startsWith('|'));

it('shows in the documentation the accuracy that is measured', { timeout: 120_000 }, async () => {
  const bench = ['--import', 'tsx', 'bench/language-identification.ts'];
  const { stdout } = await promisify(execFile)(process.execPath, bench);
  expect(tableOf(readFileSync('docs/language-identification.md', 'utf8'))).toEqual(tableOf(stdout));
});
