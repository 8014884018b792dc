import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { RecipeFacts } from '../coverage/recipe-change.js';
import { InputError } from '../errors.js';
import type { BalanceReport } from '../mix/balance-report.js';
import type { MixManifest, Sequence } from '../mix/sequence.js';
import { modelFolder } from '../pipeline/model-folder.js';
import { loadRecipe } from '../recipe/load.js';
import type { Recipe } from '../recipe/recipe.js';
import { balanceWithProgress, buildWithProgress } from './commands/build.js';
import { parseFloors, type AskedFloors } from './options.js';
import { downloadProgress, type Progress } from './progress.js';
import { readSequences } from './samples.js';
import * as z from 'zod';

export interface SubjectOptions {
  readonly model?: string;
  readonly floor?: string;
  readonly seeds: number;
  readonly balance: boolean;
  readonly sequenceLength: number;
  readonly assume?: string;
  readonly lanes?: number;
  readonly memory?: number;
}

/** A mix to audit: one that was built, one that a recipe would build, or any samples. */
export interface Subject extends AskedFloors {
  readonly model: string;
  readonly sequences: readonly Sequence[];
  readonly manifest: MixManifest | null;
  /** How the rows were chosen, where a recipe's draw alone did not hold. */
  readonly balance: BalanceReport | null;
  /** The same recipe with the following seeds. */
  readonly others: readonly (readonly Sequence[])[];
  /** Folder for what is written, unless another is asked for. */
  readonly output: string;
  readonly recipe: Recipe | null;
}

export function isRecipeFile(path: string): boolean {
  return /\.ya?ml$/iu.test(path);
}

export async function readSubject(path: string, options: SubjectOptions, progress: Progress): Promise<Subject> {
  if (isRecipeFile(path)) return buildSubject(path, options, progress);
  if (options.seeds > 1) {
    throw new InputError(
      `audit '${path}' over ${options.seeds} seeds: wanted a recipe, as a finished mix has one draw`,
    );
  }
  if (options.model === undefined) throw new InputError(`audit '${path}': wanted --model DIR, got none`);
  const model = await modelFolder({ kind: 'folder', path: options.model });
  progress.stage('read samples');
  const { sequences, manifest } = await readSequences(path, model, options.sequenceLength);
  const output = auditFolder(path);
  const asked = parseFloors(options.floor ?? '64');
  return { ...asked, model, sequences, manifest, balance: null, others: [], output, recipe: null };
}

/** Beside what is audited: a mix folder has a report of its own, of the build, with the floors and choices of its recipe. */
function auditFolder(path: string): string {
  const place = /(?:^|[\\/])\.{1,2}[\\/]*$/.test(path) ? resolve(path) : path.replace(/(?<=.)[\\/]+$/, '');
  return `${place.replace(/^builtin:/, '')}-audit`;
}

/** What `build` would write, kept in memory. */
async function buildSubject(path: string, options: SubjectOptions, progress: Progress): Promise<Subject> {
  const recipe = await loadRecipe(path, options.model === undefined ? [] : [`model=${resolve(options.model)}`]);
  for (const { message } of recipe.notes) progress.note(message);
  if (recipe.model === null) throw new InputError(`audit '${path}': wanted "model" in the recipe, or --model DIR`);
  const model = await modelFolder(recipe.model, {
    location: recipe.locate(['model']),
    onProgress: downloadProgress(progress),
  });
  const asked = options.floor === undefined ? recipe.balance : parseFloors(options.floor);
  const { floor, floors } = asked;
  const balance = { ...recipe.balance, floor, floors, pool: options.balance ? recipe.balance.pool : 1 };
  const draw = async (seed: number) => {
    const drawn = { ...recipe, mix: { ...recipe.mix, seed }, balance };
    const { mix } = await buildWithProgress(drawn.mix, model, balance.pool, progress, balance);
    return balanceWithProgress(mix, drawn, model, options, progress);
  };
  const first = await draw(recipe.mix.seed);
  const others: (readonly Sequence[])[] = [];
  for (let i = 1; i < options.seeds; i++) {
    const { mix } = await draw(recipe.mix.seed + i);
    others.push(mix.sequences);
  }
  const { sequences, manifest } = first.mix;
  const output = `${recipe.output}-audit`;
  return { floor, floors, model, sequences, manifest, balance: first.balance, others, output, recipe };
}

/** What is known of the recipe behind a mix, for changes to it. */
export function recipeFacts({ recipe, manifest }: Pick<Subject, 'recipe' | 'manifest'>, pool: string): RecipeFacts {
  const isFile = !pool.startsWith('builtin:') && existsSync(pool);
  const datasetOf = (source: string): string => {
    if (!isFile || source !== basename(pool)) return source;
    if (recipe === null) return resolve(pool);
    const path = relative(dirname(recipe.file), resolve(pool));
    return path.startsWith('.') ? path : `./${path}`;
  };
  if (recipe !== null) {
    const sourceWeights = new Map(recipe.mix.sources.map(({ name, weight }) => [name, weight]));
    return { sourceWeights, languageWeights: recipe.mix.languages, datasetOf };
  }
  const { sourceWeights, languageWeights } = settingsOf(manifest);
  return {
    sourceWeights: new Map(Object.entries(sourceWeights)),
    languageWeights: new Map(Object.entries(languageWeights)),
    datasetOf,
  };
}

const weights = z.record(z.string(), z.number().min(0)).default({});
const settingsSchema = z.object({ sourceWeights: weights, languageWeights: weights });

/** Weights of the recipe that a build wrote down; none where the manifest is of another kind. */
function settingsOf(manifest: MixManifest | null): z.output<typeof settingsSchema> {
  const settings: unknown = manifest !== null && 'settings' in manifest ? manifest.settings : {};
  const parsed = settingsSchema.safeParse(settings);
  return parsed.success ? parsed.data : { sourceWeights: {}, languageWeights: {} };
}

/** The text of a subject's recipe. */
export function recipeText({ file }: Recipe): Promise<string> {
  return readFile(file, 'utf8');
}

/** `demo.yaml` → `demo.suggested.yaml`, beside it, for paths in a recipe are relative to it. */
export function suggestedRecipe({ file }: Recipe): string {
  return join(dirname(file), basename(file).replace(/(\.ya?ml)$/iu, '.suggested$1'));
}
