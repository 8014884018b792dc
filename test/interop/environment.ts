import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

const REQUIREMENTS = fileURLToPath(new URL('./requirements.txt', import.meta.url));
const FOLDER = fileURLToPath(new URL('../../.venv/interop', import.meta.url));

/**
 * The Python that has transformers and compressed-tensors as `requirements.txt` pins them: a virtual environment of the
 * repository's own, made once and again whenever the requirements change. A package that cannot be had is an error, not
 * a reason to test less. `EVENKEEL_INTEROP_PYTHON` names another Python that has them.
 */
export async function interopPython(): Promise<string> {
  const given = process.env['EVENKEEL_INTEROP_PYTHON'];
  if (given !== undefined) return given;
  const python = join(FOLDER, 'bin', 'python');
  const stamp = join(FOLDER, 'requirements.sha256');
  const wanted = createHash('sha256').update(readFileSync(REQUIREMENTS)).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return python;
  rmSync(FOLDER, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', FOLDER]);
  await run(python, ['-m', 'pip', 'install', '--quiet', '--no-input', '--requirement', REQUIREMENTS]);
  // Written last, so that an installation that was cut off is begun anew.
  writeFileSync(stamp, wanted);
  return python;
}
