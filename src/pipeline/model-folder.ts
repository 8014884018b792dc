import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { InputError, type Location } from '../errors.js';
import type { ModelReference } from '../recipe/recipe.js';

/** The local folder of a model. */
export async function modelFolder(model: ModelReference, location?: Location): Promise<string> {
  if (model.kind === 'hub') throw new InputError(`download model '${model.repository}': wanted a folder`);
  if (!existsSync(join(model.path, 'config.json'))) {
    throw new InputError(
      `open model '${model.path}': wanted a folder with a config.json, found none`,
      location === undefined ? {} : { location },
    );
  }
  return model.path;
}
