import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { pythonWith } from './environment.js';

it('fails and says why where a package cannot be had', { timeout: 300_000 }, async () => {
  const directory = mkdtempSync(join(tmpdir(), 'evenkeel-environment-'));
  const requirements = join(directory, 'requirements.txt');
  // No index has a package of this kind of name, so nothing is asked of one either.
  writeFileSync(requirements, `--no-index\n--find-links ${directory}\nevenkeel-interop-absent==1.0\n`);
  const name = 'interop-absent';
  const made = pythonWith({ name, requirements: pathToFileURL(requirements), variable: 'EVENKEEL_ABSENT_PYTHON' });
  await expect(made).rejects.toThrow(
    /not all of them can be had here\. Nothing is tested without them;[^]*evenkeel-interop-absent/,
  );
  const folder = fileURLToPath(new URL(`../../.venv/${name}`, import.meta.url));
  expect(existsSync(join(folder, 'requirements.sha256'))).toBe(false);
  rmSync(folder, { recursive: true, force: true });
  rmSync(directory, { recursive: true, force: true });
});
