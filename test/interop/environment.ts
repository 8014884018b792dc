import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Environment {
  /** Its folder's name under `.venv`. */
  readonly name: string;
  readonly requirements: URL;
  /** Environment variable that names another Python which has the requirements. */
  readonly variable: string;
}

/**
 * A Python that has what a requirements file pins: a virtual environment of the repository's own, made once and again
 * whenever the requirements change. A package that cannot be had is an error, not a reason to test less.
 */
export async function pythonWith({ name, requirements, variable }: Environment): Promise<string> {
  const given = process.env[variable];
  if (given !== undefined) return given;
  const folder = fileURLToPath(new URL(`../../.venv/${name}`, import.meta.url));
  const python = join(folder, 'bin', 'python');
  const stamp = join(folder, 'requirements.sha256');
  const wanted = createHash('sha256').update(readFileSync(requirements)).digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return python;
  rmSync(folder, { recursive: true, force: true });
  const list = fileURLToPath(requirements);
  try {
    await run('python3', ['-m', 'venv', folder]);
    await run(python, ['-m', 'pip', 'install', '--quiet', '--no-input', '--requirement', list]);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(
      `make '${folder}' with the packages of '${list}': not all of them can be had here. Nothing is tested without them; ` +
        `${variable} may name another Python that has them.\n${reason}`,
      { cause: error },
    );
  }
  // Written last, so that an installation that was cut off is begun anew.
  writeFileSync(stamp, wanted);
  return python;
}
