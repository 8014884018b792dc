import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { assertFolder, documentText, writeReport } from '../../src/cli/written.js';

it('documentText() is the same document, rows of numbers on one line', () => {
  expect(documentText({ a: [1, -2.5, 3e-7], b: [[1], []] })).toBe(
    '{\n "a": [1,-2.5,3e-7],\n "b": [\n  [1],\n  []\n ]\n}\n',
  );
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(JSON.parse(documentText(value))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

it('a file where a folder is wanted is bad input, before the work and when writing', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-written-'));
  const file = join(folder, 'file');
  writeFileSync(file, 'mine');
  expect(() => assertFolder(file)).toThrow(`write to '${file}': wanted a folder, got a file`);
  expect(() => assertFolder(join(file, 'in', 'it'))).toThrow(`wanted a folder, got a file '${file}'`);
  for (const path of [folder, join(folder, 'new')]) expect(() => assertFolder(path)).not.toThrow();
  await expect(writeReport(join(file, 'coverage.json'), '{}')).rejects.toThrow(InputError);
});
