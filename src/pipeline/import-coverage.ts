import type { Coverage } from '../coverage/coverage.js';
import type { Floors } from '../coverage/floors.js';
import { importImatrix } from '../coverage/import-imatrix.js';
import { importMoeHtml } from '../coverage/import-moe-html.js';
import { InputError } from '../errors.js';

/** Whether a file holds what another tool counted: llama.cpp's imatrix, or Model-Optimizer's `.moe.html`. */
export function holdsCounts(path: string): boolean {
  return /\.(?:gguf|html?)$/iu.test(path);
}

/**
 * Coverage out of what another tool counted; needs no model.
 *
 * @throws InputError when the file is another, or a floor asks for what these tools do not count
 */
export function importCoverage(path: string, floor: number, floors: Floors = {}): Promise<Coverage> {
  const [asked] = Object.keys(floors);
  if (asked !== undefined) {
    throw new InputError(
      `audit '${path}' against a floor of '${asked}': wanted a floor for experts alone, as its tool counted neither ` +
        'languages nor channels nor lengths',
    );
  }
  return /\.gguf$/iu.test(path) ? importImatrix(path, floor) : importMoeHtml(path, floor);
}
