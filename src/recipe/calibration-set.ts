import * as z from 'zod';
import { InputError } from '../errors.js';
import { checkPrefix } from './formatter.js';
import { datasetReference, distinctNames, resolveClean, sourceName } from './mix.js';
import type { MixRecipe, RecipeNote, SourceRecipe } from './recipe.js';
import { cleanSchema } from './schema.js';
import { validate } from './validate.js';
import type { KeyPath, YamlDocument } from './yaml-document.js';

/**
 * Calibration sets as github.com/mratsim/quantizers reads them (`src/quantizers/calibration_sets.py`): one root key, and
 * per dataset the columns and the formatter that makes messages of them.
 */
const FORMATTERS = {
  chat_completion: { format: 'messages', columns: 1 },
  sharegpt: { format: 'sharegpt', columns: 1 },
  prompt_answer: { format: 'prompt_answer', columns: 2 },
  raw_text: { format: 'raw_text', columns: 1 },
  chat_completion_with_sysprompt: { format: 'auto', columns: 2 },
  deepmind_code_contests: { format: 'deepmind_code_contests', columns: 1 },
} as const;

const FORMATTER_NAMES = [
  'chat_completion',
  'sharegpt',
  'prompt_answer',
  'raw_text',
  'chat_completion_with_sysprompt',
  'deepmind_code_contests',
] as const;

const datasetSchema = z.strictObject({
  dataset: z.string().min(1),
  split: z.string().min(1),
  subset: z.string().min(1).optional(),
  columns: z.array(z.string().min(1)).min(1),
  formatter: z.enum(FORMATTER_NAMES),
  num_samples: z.union([z.int().positive(), z.literal('all')]),
  streaming: z.boolean().default(false),
  formatter_params: z.strictObject({ prefix: z.string().optional() }).default({}),
});

const setSchema = z.strictObject({
  max_seq_length: z.int().positive().default(4096),
  shuffle: z.boolean().default(true),
  seed: z.int().min(0).default(42),
  datasets: z.array(datasetSchema).min(1),
});

export function isCalibrationSet(data: unknown): data is { readonly calibration_set: unknown } {
  return typeof data === 'object' && data !== null && 'calibration_set' in data;
}

/**
 * A `calibration_set:` file as `mix`. What its own reader gets wrong is mended, and said so in the notes: rows are drawn
 * by seed instead of taken from the top, and a prefix is chosen by a hash that is the same in every run.
 */
export function importCalibrationSet(
  data: { readonly calibration_set: unknown },
  document: YamlDocument,
  at: KeyPath,
  folder: string,
  notes: RecipeNote[],
): MixRecipe {
  const inner = [...at, 'calibration_set'];
  const set = validate(setSchema, withoutTemplates(data.calibration_set), document, inner);
  const note = (path: KeyPath, message: string) =>
    notes.push({ message, location: document.locate([...inner, ...path], 'key') });
  note(['datasets'], 'rows are drawn by seed over the whole of each dataset, not taken from its top');
  if (!set.shuffle) note(['shuffle'], 'the order of sequences has no effect on statistics, which are sums');
  const sources = set.datasets.map((entry, index) =>
    importDataset(entry, document, [...inner, 'datasets', index], folder),
  );
  if (sources.some(({ formatter }) => formatter?.prefix?.includes('hash(') === true)) {
    note(['datasets'], "hash() in a prefix is a stable hash of the row; Python's differs from run to run");
  }
  if (set.datasets.some((entry) => entry.streaming && entry.num_samples === 'all')) {
    note(['datasets'], '`num_samples: all` takes all rows of a streamed dataset too, not the first 256');
  }
  return {
    seed: set.seed,
    tokens: null,
    sequenceLength: set.max_seq_length,
    overflow: 'truncate',
    tokenizer: null,
    chatTemplate: null,
    template: null,
    templateArguments: {},
    templateDate: null,
    sources: distinctNames(sources),
    languages: new Map(),
    clean: resolveClean(cleanSchema.parse({}), folder),
  };
}

/** Keys that begin with an underscore only hold anchors. */
function withoutTemplates(set: unknown): unknown {
  if (typeof set !== 'object' || set === null || Array.isArray(set)) return set;
  return Object.fromEntries(Object.entries(set).filter(([key]) => !key.startsWith('_')));
}

function importDataset(
  entry: z.output<typeof datasetSchema>,
  document: YamlDocument,
  at: KeyPath,
  folder: string,
): SourceRecipe {
  const { format, columns } = FORMATTERS[entry.formatter];
  if (entry.columns.length !== columns) {
    throw new InputError(
      `Cannot use formatter "${entry.formatter}" with ${entry.columns.length} columns: wanted ${columns}`,
      {
        location: document.locate([...at, 'columns']),
      },
    );
  }
  const prefix = entry.formatter_params.prefix ?? null;
  if (prefix !== null) checkPrefix(prefix, () => document.locate([...at, 'formatter_params', 'prefix']));
  const location = document.locate([...at, 'dataset']);
  return {
    ...datasetReference(entry.dataset, null, folder, () => location),
    name: sourceName(entry.dataset, entry.subset),
    subset: entry.subset ?? null,
    split: entry.split,
    columns: entry.formatter === 'deepmind_code_contests' ? ['description', 'solutions'] : entry.columns,
    format,
    samples: entry.num_samples,
    weight: 1,
    language: null,
    category: null,
    license: null,
    onError: 'fail',
    formatter: { name: entry.formatter, prefix },
    location,
  };
}
