import { statSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { writing } from '../checkpoint/durable.js';
import { InputError } from '../errors.js';

/** Refuses, before any work, a folder to write to that is a file. */
export function assertFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== false) return;
  throw new InputError(`write to '${path}': wanted a folder, got a file`);
}

/** Writes a report under another name first: a file of this name is whole. */
export async function writeReport(path: string, content: string): Promise<void> {
  await writing(path, async () => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(`${path}.partial`, content);
    await rename(`${path}.partial`, path);
  });
}

/** A document as indented JSON, rows of numbers on one line each: one number a line would make megabytes of blanks. */
export function documentText(document: unknown): string {
  const text = JSON.stringify(document, null, 1);
  // A line end stands in no string of JSON, so that nothing but arrays is touched.
  return `${text.replace(/\[\n\s*(-?[\d.eE+-]+(?:,\n\s*-?[\d.eE+-]+)*)\n\s*\]/g, (_, row: string) => `[${row.replace(/,\n\s*/g, ',')}]`)}\n`;
}
