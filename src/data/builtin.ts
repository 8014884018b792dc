import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { PACKAGE_ROOT } from '../package-root.js';

const PREFIX = 'builtin:';

const FOLDER = join(PACKAGE_ROOT, 'datasets');

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
