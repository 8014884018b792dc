import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../errors.js';

const PREFIX = 'builtin:';

/** The package's own `datasets`: two levels up from here, in the sources (src/data) as in the build (dist/data). */
const FOLDER = fileURLToPath(new URL('../../datasets', import.meta.url));

export function isBuiltin(dataset: string): boolean {
  return dataset.startsWith(PREFIX);
}

/** Names of the sets that ship, as recipes write them without `builtin:`. */
export function builtinNames(): string[] {
  if (!existsSync(FOLDER)) return [];
  return readdirSync(FOLDER).filter((name) => existsSync(parquetOf(name)));
}

/** The Parquet file of `builtin:<set>`; throws InputError with the sets there are. */
export function builtinPath(dataset: string): string {
  const name = dataset.slice(PREFIX.length);
  const names = builtinNames();
  if (names.includes(name)) return parquetOf(name);
  throw new InputError(
    `Cannot find dataset "${dataset}": the built-in sets are ${names.map((each) => PREFIX + each).join(', ')}`,
  );
}

function parquetOf(name: string): string {
  return join(FOLDER, name, `${name}.parquet`);
}
