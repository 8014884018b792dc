import { existsSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { InputError } from '../src/errors.js';
import { makeFolder } from '../src/make-folder.js';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-folder-'));

it('makes a folder and those above it, and is content with one that is there', async () => {
  const path = join(folder, 'a', 'b', 'c');
  await makeFolder(path);
  await makeFolder(path);
  expect(statSync(path).isDirectory()).toBe(true);
});

// A parent that another makes between a refused mkdir and the look at it was taken for a refusal of the system's.
it('makes folders below those that others are making', async () => {
  for (let round = 0; round < 200; round++) {
    const parent = join(folder, 'x', `${round}`, 'y', 'z');
    const names = Array.from({ length: 8 }, (_, i) => join(parent, `${i % 2}`, `${i % 3}`));
    await Promise.all(names.map((path) => makeFolder(path)));
    for (const path of names) expect(statSync(path).isDirectory()).toBe(true);
  }
});

it('says what a folder cannot be made in', async () => {
  writeFileSync(join(folder, 'file'), '');
  for (const path of [join(folder, 'file'), join(folder, 'file', 'in', 'it')]) {
    const made = makeFolder(path);
    await expect(made).rejects.toThrow(InputError);
    await expect(made).rejects.toThrow(`make folder '${path}': E`);
  }
});

// mkdir with `recursive` never comes back from here.
it.runIf(existsSync('/proc/self'))(
  'gives up where the system lets nobody make folders',
  { timeout: 5000 },
  async () => {
    await expect(makeFolder('/proc/no/such/place')).rejects.toThrow("make folder '/proc/no/such/place': ENOENT");
  },
);
