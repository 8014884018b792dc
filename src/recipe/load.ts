import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { codeOf, messageOf } from '../checkpoint/system-error.js';
import { InputError } from '../errors.js';
import { resolveBalance } from './balance.js';
import { importCalibrationSet, isCalibrationSet } from './calibration-set.js';
import { importCompressorRecipe, isCompressorRecipe } from './llm-compressor.js';
import type { z } from 'zod';
import { distinctNames, resolveMix, resolveSource } from './mix.js';
import { resolveQuantize } from './quantize.js';
import type { EvaluateRecipe, MixRecipe, ModelReference, QuantizeRecipe, Recipe, RecipeNote } from './recipe.js';
import { mixSchema, quantizeSchema, recipeSchema, type evaluateSchema } from './schema.js';
import { validate } from './validate.js';
import { parseYaml, type KeyPath, type YamlDocument } from './yaml-document.js';

/** A part of a recipe with the document it stands in: the recipe's own, or another tool's file that it names. */
interface Part {
  readonly document: YamlDocument;
  readonly data: unknown;
  readonly at: KeyPath;
}

/**
 * Reads a recipe. `mix` may name, or hold, a `calibration_set:` file; `quantize` an llm-compressor recipe; and the file
 * itself may be a bare calibration set, with model and output given by `assignments`.
 *
 * @param assignments `key.path=value`, put over the file's own values
 * @throws InputError with file, line and column for everything that is wrong, or that cannot be honoured
 */
export async function loadRecipe(file: string, assignments: readonly string[] = []): Promise<Recipe> {
  const text = await read(file, 'recipe');
  return parseRecipe(text, resolve(file), assignments);
}

/** {@link loadRecipe} of a text; `file` gives relative paths their folder, and errors their name. */
export async function parseRecipe(text: string, file: string, assignments: readonly string[] = []): Promise<Recipe> {
  const document = parseYaml(text, file, assignments);
  const bare = isCalibrationSet(document.data);
  const root = isCalibrationSet(document.data) ? splitBareCalibrationSet(document.data) : document.data;
  const raw = validate(recipeSchema, root, document);
  const folder = dirname(file);
  const notes: RecipeNote[] = [];
  const mixPart: Part = bare
    ? { document, data: document.data, at: [] }
    : await follow({ document, data: raw.mix, at: ['mix'] }, folder);
  const quantizePart = await follow({ document, data: raw.quantize ?? {}, at: ['quantize'] }, folder);
  const mix = readMix(mixPart, folder, notes);
  if (raw.model === undefined && mix.tokenizer === null) {
    throw new InputError(
      'Missing key "model": wanted a folder or a Hub id (or mix.tokenizer, to build a mix without a model)',
      {
        location: document.locate([]),
      },
    );
  }
  return {
    file,
    model: raw.model === undefined ? null : modelReference(raw.model, folder, document),
    mix,
    balance: resolveBalance(raw.balance, mix, document),
    quantize: readQuantize(quantizePart, notes),
    evaluate: raw.evaluate === null ? null : readEvaluate(raw.evaluate, mix, folder, document),
    output: resolve(folder, raw.output),
    notes,
    locate: (path) => document.locate(path),
  };
}

function readMix(part: Part, folder: string, notes: RecipeNote[]): MixRecipe {
  if (isCalibrationSet(part.data)) return importCalibrationSet(part.data, part.document, part.at, folder, notes);
  return resolveMix(validate(mixSchema, part.data ?? {}, part.document, part.at), folder, part.document, part.at);
}

/** Held-out text is rendered as the mix is, and taken whole: nothing is cleaned away from under a measurement. */
function readEvaluate(
  raw: z.output<typeof evaluateSchema>,
  mix: MixRecipe,
  folder: string,
  document: YamlDocument,
): EvaluateRecipe {
  const sources = raw.sources.map((source, index) =>
    resolveSource(source, folder, document, ['evaluate', 'sources', index]),
  );
  const sequenceLength = raw.sequence_length ?? mix.sequenceLength;
  const heldOut = { ...mix, sources: distinctNames(sources), tokens: raw.tokens, sequenceLength, languages: new Map() };
  return { mix: heldOut, baseline: raw.baseline };
}

function readQuantize(part: Part, notes: RecipeNote[]): QuantizeRecipe {
  if (isCompressorRecipe(part.data)) return importCompressorRecipe(part.data, part.document, part.at, notes);
  const { document, at } = part;
  return resolveQuantize(validate(quantizeSchema, part.data, document, at), (path) =>
    document.locate([...at, ...path]),
  );
}

/** A part given as a path is the document at that path. */
async function follow(part: Part, folder: string): Promise<Part> {
  if (typeof part.data !== 'string') return part;
  const path = resolve(folder, part.data);
  if (!existsSync(path)) {
    throw new InputError(`Cannot read "${part.data}" for "${part.at.join('.')}": there is no such file`, {
      location: part.document.locate(part.at),
    });
  }
  const document = parseYaml(await read(path, String(part.at[0])), path);
  return { document, data: document.data, at: [] };
}

function splitBareCalibrationSet(data: { readonly calibration_set: unknown }): Record<string, unknown> {
  const { calibration_set: set, ...rest } = data;
  return { ...rest, mix: { calibration_set: set } };
}

/** A folder when it looks like a path or exists as one, else a Hub id. */
function modelReference(model: string, folder: string, document: YamlDocument): ModelReference {
  const path = resolve(folder, model);
  if (/^\.{0,2}\//u.test(model) || existsSync(path)) return { kind: 'folder', path };
  const match = /^([\w.-]+(?:\/[\w.-]+)?)(?:@(.+))?$/u.exec(model);
  if (match === null) {
    throw new InputError(`Cannot use model "${model}": it is neither a folder nor a Hub id`, {
      location: document.locate(['model']),
    });
  }
  return { kind: 'hub', repository: match[1] ?? model, revision: match[2] ?? 'main' };
}

async function read(file: string, what: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = codeOf(error);
    const why = code === 'ENOENT' ? 'there is no such file' : code === 'EISDIR' ? 'it is a folder' : messageOf(error);
    throw new InputError(`Cannot read the ${what} "${file}": ${why}`, { cause: error });
  }
}
