import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { downloadModel, type ModelProgress } from '../data/hub/model.js';
import { InputError, type Location } from '../errors.js';
import type { ModelReference } from '../recipe/recipe.js';

export interface ModelFolderOptions {
  /** Where a recipe names the model, for errors. */
  readonly location?: Location;
  readonly onProgress?: (progress: ModelProgress) => void;
  readonly signal?: AbortSignal;
}

/** The local folder of a model, downloaded into the Hub's cache when it is a Hub id. */
export async function modelFolder(model: ModelReference, options: ModelFolderOptions = {}): Promise<string> {
  const { location, onProgress, signal } = options;
  if (model.kind === 'hub') {
    return (await downloadModel(model.repository, model.revision, { onProgress, signal })).directory;
  }
  if (!existsSync(join(model.path, 'config.json'))) {
    throw new InputError(
      `open model '${model.path}': wanted a folder with a config.json, found none`,
      location === undefined ? {} : { location },
    );
  }
  return model.path;
}
