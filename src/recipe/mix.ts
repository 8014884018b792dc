import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { z } from 'zod';
import { builtinNames, isBuiltin } from '../data/builtin.js';
import { InputError, type Location } from '../errors.js';
import { canonicalLanguage } from '../text/language-tag.js';
import { nearest } from './nearest.js';
import type { CleanRecipe, MixRecipe, SourceRecipe } from './recipe.js';
import type { cleanSchema, mixSchema, sourceSchema } from './schema.js';
import type { KeyPath, YamlDocument } from './yaml-document.js';

/** `mix` as written to `mix` as used: paths resolved, languages canonical, sources told apart. */
export function resolveMix(
  raw: z.output<typeof mixSchema>,
  folder: string,
  document: YamlDocument,
  at: KeyPath,
): MixRecipe {
  const sources = raw.sources.map((source, index) =>
    resolveSource(source, folder, document, [...at, 'sources', index]),
  );
  if (raw.sources.every(({ weight }) => weight === 0)) {
    const location = document.locate([...at, 'sources', 0, 'weight']);
    throw new InputError('Cannot draw a mix: every source has weight 0', { location });
  }
  for (const [index, list] of raw.clean.contamination.lists.entries()) {
    const key = [...at, 'clean', 'contamination', 'lists', index];
    existing(list, folder, 'contamination list', document.locate(key));
  }
  const templateArguments = raw.template_arguments;
  const reserved = RESERVED_ARGUMENTS.find((key) => key in templateArguments);
  if (reserved !== undefined) {
    throw new InputError(`Cannot set "${reserved}" for the chat template: it is given by the rows`, {
      location: document.locate([...at, 'template_arguments', reserved], 'key'),
    });
  }
  return {
    seed: raw.seed,
    tokens: raw.tokens,
    sequenceLength: raw.sequence_length,
    overflow: raw.overflow,
    tokenizer: raw.tokenizer ?? null,
    chatTemplate:
      raw.chat_template === undefined
        ? null
        : existing(raw.chat_template, folder, 'chat template', document.locate([...at, 'chat_template'])),
    template: raw.template ?? null,
    templateLocation: document.locate([...at, 'template']),
    templateArguments,
    templateDate: raw.template_date ?? null,
    sources: distinctNames(sources),
    languages: resolveLanguages(raw.languages, document, [...at, 'languages']),
    clean: resolveClean(raw.clean, folder),
  };
}

/** What a row itself says; a value for all of them would replace every conversation, or ask for an answer to it. */
const RESERVED_ARGUMENTS = ['messages', 'tools', 'add_generation_prompt'];

export function resolveSource(
  raw: z.output<typeof sourceSchema>,
  folder: string,
  document: YamlDocument,
  at: KeyPath,
): SourceRecipe {
  const location = document.locate([...at, 'dataset']);
  return {
    ...datasetReference(raw.dataset, raw.revision ?? null, folder, () => location),
    name: raw.name ?? sourceName(raw.dataset, raw.subset),
    subset: raw.subset ?? null,
    split: raw.split ?? null,
    columns: raw.columns ?? null,
    format: raw.format,
    samples: raw.samples,
    weight: raw.weight,
    language: raw.language === undefined ? null : language(raw.language, document, [...at, 'language']),
    category: raw.category ?? null,
    license: raw.license ?? null,
    onError: raw.on_error,
    formatter: null,
    location,
  };
}

/** The path of a file that a recipe names. */
function existing(name: string, folder: string, what: string, location: Location): string {
  const path = resolve(folder, name);
  if (existsSync(path)) return path;
  throw new InputError(`Cannot find the ${what} "${name}": there is no such file`, { location });
}

export function sourceName(dataset: string, subset: string | undefined): string {
  return subset === undefined ? dataset : `${dataset}/${subset}`;
}

/** `builtin:NAME`, a path (said by a leading dot or slash, or by being there), else a Hub id. */
export function datasetReference(
  dataset: string,
  revision: string | null,
  folder: string,
  locate: () => SourceRecipe['location'],
): Pick<SourceRecipe, 'dataset' | 'kind' | 'revision'> {
  if (isBuiltin(dataset)) {
    const names = builtinNames().map((name) => `builtin:${name}`);
    if (!names.includes(dataset)) {
      const near = nearest(dataset, names);
      const hint = near === null ? `the built-in sets are ${names.join(', ')}` : `did you mean "${near}"?`;
      throw new InputError(`Cannot find the dataset "${dataset}": ${hint}`, { location: locate() });
    }
    return { kind: 'builtin', dataset, revision };
  }
  const path = resolve(folder, dataset);
  if (/^\.{0,2}\//u.test(dataset) || existsSync(path)) {
    if (!existsSync(path))
      throw new InputError(`Cannot find the dataset "${dataset}": there is no such file or folder`, {
        location: locate(),
      });
    return { kind: 'file', dataset: path, revision };
  }
  const match = /^([\w.-]+(?:\/[\w.-]+)?)(?:@(.+))?$/u.exec(dataset);
  if (match === null) {
    throw new InputError(`Cannot use dataset "${dataset}": it is neither builtin:NAME, nor a path, nor a Hub id`, {
      location: locate(),
    });
  }
  return { kind: 'hub', dataset: match[1] ?? dataset, revision: revision ?? match[2] ?? null };
}

/** Two sources may read one dataset (two splits, say); reports need to tell them apart. */
export function distinctNames(sources: readonly SourceRecipe[]): SourceRecipe[] {
  const seen = new Map<string, number>();
  return sources.map((source) => {
    const times = (seen.get(source.name) ?? 0) + 1;
    seen.set(source.name, times);
    return times === 1 ? source : { ...source, name: `${source.name}#${times}` };
  });
}

function resolveLanguages(
  weights: Readonly<Record<string, number>>,
  document: YamlDocument,
  at: KeyPath,
): Map<string, number> {
  return new Map(
    Object.entries(weights).map(([tag, weight]) => [
      tag === 'default' ? tag : language(tag, document, [...at, tag]),
      weight,
    ]),
  );
}

function language(tag: string, document: YamlDocument, at: KeyPath): string {
  const canonical = tag === 'und' ? 'und' : canonicalLanguage(tag);
  if (canonical === 'und' && tag !== 'und') {
    throw new InputError(`Cannot use language "${tag}": wanted a BCP 47 tag, an ISO 639-3 code or an English name`, {
      location: document.locate(at, 'key'),
    });
  }
  return canonical;
}

export function resolveClean(raw: z.output<typeof cleanSchema>, folder: string): CleanRecipe {
  return {
    exactDuplicates: raw.exact_duplicates,
    nearDuplicates: raw.near_duplicates,
    nearDuplicateSimilarity: raw.near_duplicate_similarity,
    degenerate: raw.degenerate,
    replacementCharacters: raw.replacement_characters,
    secrets: raw.secrets,
    contamination: { ...raw.contamination, lists: raw.contamination.lists.map((path) => resolve(folder, path)) },
    languages: raw.languages,
  };
}
