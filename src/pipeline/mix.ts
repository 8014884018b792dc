import { availableParallelism } from 'node:os';
import { openCheckpoint } from '../checkpoint/open.js';
import { openSource } from '../data/read-source.js';
import type { Sample } from '../data/sample.js';
import type { SourceEvent, SourceSpec } from '../data/source-spec.js';
import { InputError } from '../errors.js';
import { buildMix, type BuildEvent, type BuiltMix } from '../mix/build.js';
import type { MustInclude } from '../mix/must-include.js';
import { loadContaminationLists, type ContaminationLists } from '../mix/contamination.js';
import type { SkippedRow } from '../mix/remarks.js';
import { parseModelConfig } from '../model/config.js';
import { applyFormatter } from '../recipe/formatter.js';
import type { MixRecipe, SourceRecipe } from '../recipe/recipe.js';
import { cleanOptions, preparePlan } from '../recipe/plan.js';
import { loadChatTemplate, unreadArguments, type ChatTemplate } from '../text/chat-template.js';
import { loadTokenizer } from '../text/load-tokenizer.js';
import type { Tokenizer } from '../text/tokenizer.js';
import { VERSION } from '../version.js';

export type MixEvent = BuildEvent | SourceEvent;

/** A built mix with the tokenizer that made it, which writing it needs again. */
export interface MixWithTokenizer {
  readonly mix: BuiltMix;
  readonly tokenizer: Tokenizer;
}

export interface BuildFromRecipeOptions {
  /** Folder of the model, or null for a mix without one. */
  readonly model: string | null;
  /** Budgets' worth of candidates kept for balancing. */
  readonly pool: number;
  /** Rows that are in the mix whatever the draw. */
  readonly mustInclude?: MustInclude;
  /** Threads that identify, render and tokenize. */
  readonly workers?: number;
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes come: the generator itself waits for the rows behind them. */
  readonly onDownload?: ((event: DownloadEvent) => void) | undefined;
}

export type DownloadEvent = Extract<SourceEvent, { type: 'download' }>;

/** Reads a recipe's sources, renders them with the model's template and tokenizer, and chooses the mix. */
export async function* buildFromRecipe(
  recipe: MixRecipe,
  { model, pool, mustInclude, workers = workersFor(recipe), signal, onDownload }: BuildFromRecipeOptions,
): AsyncGenerator<MixEvent, MixWithTokenizer> {
  const modelVocabularySize = model === null ? null : vocabularySize(model);
  const tokenizer = await loadTokenizer(recipe.tokenizer !== null ? { encoding: recipe.tokenizer } : model!);
  const chatTemplate = await loadChatTemplate(model, recipe.chatTemplate ?? undefined);
  yield* checkTemplate(recipe, chatTemplate);
  const queue: SourceEvent[] = [];
  const skipped: SkippedRow[] = [];
  let samplesRead = 0;
  const onEvent = (event: SourceEvent) => {
    if (event.type === 'download') onDownload?.(event);
    else queue.push(event);
    if (event.type === 'skipped') skipped.push({ ...event, after: samplesRead });
  };
  const counted = async function* () {
    for await (const sample of readSources(recipe, onEvent, signal)) {
      yield sample;
      samplesRead++;
    }
  };
  const build = buildMix(counted(), {
    skipped,
    skipRefusedOf: new Set(recipe.sources.flatMap(({ name, onError }) => (onError === 'skip' ? [name] : []))),
    tokenizer,
    chatTemplate,
    modelVocabularySize,
    sequenceLength: recipe.sequenceLength,
    overflow: recipe.overflow,
    clean: cleanOptions(recipe.clean),
    contamination: await contaminationLists(recipe),
    templateArguments: recipe.templateArguments,
    ...(recipe.template === null ? {} : { template: recipe.template }),
    ...(recipe.templateDate === null ? {} : { date: recipe.templateDate }),
    seed: recipe.seed,
    version: VERSION,
    wanted: new Map(recipe.sources.map(({ name, samples }) => [name, samples])),
    tokens: recipe.tokens,
    sourceWeights: new Map(recipe.sources.map(({ name, weight }) => [name, weight])),
    languageWeights: recipe.languages,
    pool,
    ...(mustInclude === undefined ? {} : { mustInclude }),
    ...(workers > 1 ? { workers: { count: workers, plan: preparePlan(recipe, model, modelVocabularySize) } } : {}),
    ...(signal === undefined ? {} : { signal }),
  });
  for (;;) {
    const next = await build.next();
    yield* queue.splice(0);
    if (next.done === true) return { mix: next.value, tokenizer };
    yield next.value;
  }
}

/** Before any row is read: a template that is not there, arguments that nothing reads. */
function* checkTemplate(
  { template, templateLocation, templateArguments }: MixRecipe,
  chat: ChatTemplate | null,
): Generator<MixEvent, void> {
  if (chat === null) return;
  if (template !== null && !chat.templates.has(template)) {
    const names = [...chat.templates.keys()].map((name) => `"${name}"`).join(', ');
    const message = `Cannot choose the chat template "${template}": the model has ${names}`;
    throw new InputError(message, templateLocation === undefined ? {} : { location: templateLocation });
  }
  const unread = unreadArguments(chat, Object.keys(templateArguments));
  for (const key of unread) {
    yield { type: 'note', message: `template_arguments: the chat template does not read "${key}"` };
  }
}

/** One thread reads for the others and cannot feed more of them; each holds a tokenizer of its own. */
const MOST_WORKERS = 8;

/** The built-in sets are rendered faster than a second tokenizer is loaded. */
function workersFor({ sources }: MixRecipe): number {
  return sources.every(({ kind }) => kind === 'builtin') ? 1 : Math.min(availableParallelism(), MOST_WORKERS);
}

function contaminationLists({ clean }: MixRecipe): Promise<ContaminationLists> | null {
  const { lists, ngram, action } = clean.contamination;
  return action === 'off' || lists.length === 0 ? null : loadContaminationLists(lists, ngram);
}

function vocabularySize(model: string): number {
  const checkpoint = openCheckpoint(model);
  const size = parseModelConfig(checkpoint.config).number('vocab_size');
  checkpoint.close();
  return size;
}

async function* readSources(
  recipe: MixRecipe,
  onEvent: (event: SourceEvent) => void,
  signal: AbortSignal | undefined,
): AsyncGenerator<Sample> {
  const opened: { readonly source: SourceRecipe; readonly rows: () => AsyncGenerator<Sample> }[] = [];
  for (const source of recipe.sources) {
    try {
      const { rows } = await openSource(specOf(source), { seed: recipe.seed, onEvent, signal });
      opened.push({ source, rows });
    } catch (error) {
      throw located(error, source);
    }
  }
  for (const { source, rows } of opened) {
    try {
      for await (const sample of rows())
        yield source.formatter === null ? sample : applyFormatter(sample, source.formatter);
    } catch (error) {
      throw located(error, source);
    }
  }
}

/** What is wrong with a source, at the line of the recipe that names it; faults with a place of their own keep it. */
function located(error: unknown, { location }: SourceRecipe): unknown {
  if (!(error instanceof InputError) || error.location !== undefined) return error;
  return new InputError(error.message, { location, cause: error });
}

function specOf(source: SourceRecipe): SourceSpec {
  return {
    dataset: source.dataset,
    name: source.name,
    revision: source.revision ?? undefined,
    subset: source.subset ?? undefined,
    split: source.split ?? undefined,
    columns: source.columns ?? undefined,
    format: source.format,
    samples: source.samples,
    language: source.language ?? undefined,
    category: source.category ?? undefined,
    license: source.license ?? undefined,
    onError: source.onError,
  };
}
