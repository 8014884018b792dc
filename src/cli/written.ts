import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { makeFolder } from '../make-folder.js';
import { writing } from '../checkpoint/durable.js';
import { messageOf } from '../checkpoint/system-error.js';
import { InputError } from '../errors.js';

/** Refuses, before any work, a folder to write to that is a file, lies in one, or may not be written to. */
export function assertFolder(path: string): void {
  for (let at = resolve(path); ; at = dirname(at)) {
    if (!existsSync(at) && at !== dirname(at)) continue;
    if (!statSync(at).isDirectory()) {
      throw new InputError(`write to '${path}': wanted a folder, got a file${at === resolve(path) ? '' : ` '${at}'`}`);
    }
    try {
      accessSync(at, constants.W_OK);
    } catch (error) {
      throw new InputError(`write to '${path}': ${messageOf(error)}`, { cause: error });
    }
    return;
  }
}

/** Writes a report under another name first: a file of this name is whole. */
export async function writeReport(path: string, content: string): Promise<void> {
  await writing(path, async () => {
    await makeFolder(dirname(path));
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
