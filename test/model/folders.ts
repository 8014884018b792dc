import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** Every conformance folder, and the variants of this test: name → path. */
export const FOLDERS: ReadonlyMap<string, string> = new Map(
  ['../conformance/', './variants/'].flatMap((parent) => {
    const directory = fileURLToPath(new URL(parent, import.meta.url));
    return readdirSync(directory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => [name, directory + name] as const);
  }),
);

/** Folders of one family alone, for `it.each`. */
export function folder(name: string): string {
  const path = FOLDERS.get(name);
  if (path === undefined) throw new Error(`there is no conformance folder '${name}'`);
  return path;
}
