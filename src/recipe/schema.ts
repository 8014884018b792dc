import * as z from 'zod';
import { RUNTIMES } from '../checkpoint/runtime-limits.js';
import { ENCODINGS } from '../text/tokenizer.js';
import { OVERFLOW_RULES } from '../mix/windows.js';
import { moduleEntry } from './module-entry.js';

const positive = z.number().positive();
const count = z.int().positive();
const weight = z.number().min(0);
const text = z.string().min(1);

/** One dataset of a mix. Which reader and schema it gets is the data side's to find out, or `format` says. */
export const sourceSchema = z.strictObject({
  dataset: text.describe('builtin:NAME, a file or folder, or a Hub id (org/name[@revision])'),
  name: text.optional(),
  revision: text.optional(),
  subset: text.optional(),
  split: text.optional(),
  columns: z.array(text).min(1).optional(),
  format: text.default('auto'),
  samples: z.union([count, z.literal('all')]).default('all'),
  weight: weight.default(1),
  language: text.optional().describe('of rows that declare none'),
  category: text.optional().describe('of rows that declare none'),
  license: text.optional(),
  on_error: z.enum(['fail', 'skip']).default('fail'),
});

/** What is done about rows that make a mix worse. `report` counts them and keeps them. */
const gate = z.enum(['drop', 'report', 'off']);
export const cleanSchema = z.strictObject({
  exact_duplicates: gate.default('drop'),
  near_duplicates: gate.default('drop'),
  near_duplicate_similarity: z.number().min(0.5).max(1).default(0.85),
  degenerate: gate.default('drop'),
  replacement_characters: gate.default('drop'),
  secrets: gate.default('drop'),
  contamination: z
    .strictObject({
      lists: z.array(text).default([]).describe('files of benchmark texts: JSONL, JSON or plain text'),
      ngram: z.int().min(5).max(50).default(13).describe('words in a row that give a row away'),
      action: gate.default('drop'),
    })
    .prefault({}),
  languages: gate.default('report').describe('rows whose text is identified as another language than they declare'),
});

export const mixSchema = z.strictObject({
  seed: z.int().min(0).default(42),
  tokens: count.nullable().default(null).describe('budget; null takes everything'),
  sequence_length: count.default(2048),
  overflow: z.enum(OVERFLOW_RULES).default('window'),
  tokenizer: z.enum(ENCODINGS).optional().describe('where there is no model'),
  chat_template: text.optional().describe("a template file instead of the model's own"),
  template: text.optional().describe('the name of a template, where a model has several'),
  template_arguments: z.record(z.string(), z.json()).default({}).describe('enable_thinking, preserve_thinking, …'),
  template_date: z.iso.date().optional().describe('the day that templates print'),
  sources: z.array(sourceSchema).min(1),
  languages: z.record(z.string(), weight).default({}),
  clean: cleanSchema.prefault({}),
});

const quota = z.strictObject({ least: count.optional(), most: count.optional() });
const quotas = z.record(text, quota).default({}).describe('tokens that a group must and may have');

export const balanceSchema = z.strictObject({
  floor: z.int().min(0).default(64),
  floors: z
    .record(text, z.int().min(0))
    .default({})
    .describe('least tokens of languages and channels; length: least median of tokens per sequence'),
  pool: z.number().min(1).default(4),
  multiple: z.number().min(1).default(1).describe('cells are worth filling up to floor × multiple'),
  layer_weights: z
    .record(z.string().regex(/^\d+(?:-\d+)?$/u, 'wanted a layer or a range such as 0-3'), weight)
    .default({})
    .describe("worth of the layers' cells; 1 where left out"),
  languages: quotas,
  categories: quotas,
  must_include: z
    .record(text, z.array(z.union([text, z.int()])).min(1))
    .default({})
    .describe('source → ids of rows that are in the mix whatever the draw'),
  quality_gate: z.boolean().default(true).describe('never choose looped sequences or copies of another'),
  prefix: count.nullable().default(null).describe('choose by the first tokens of every candidate; null runs all of it'),
});

export const SCHEMES = ['W4A16', 'W4A16_ASYM', 'W8A16'] as const;

const groupSize = z.union([z.literal(32), z.literal(64), z.literal(128), z.literal('channel')]);

export const quantizeSchema = z.strictObject({
  scheme: z.enum(SCHEMES).default('W4A16'),
  group_size: groupSize.default(128),
  experts: z.enum(['routed', 'shrink', 'all']).default('shrink'),
  shrinkage: z.number().min(0).default(4096),
  grid: z.int().min(3).max(1000).default(20),
  duo_scaling: z.union([z.boolean(), z.literal('both')]).default(true),
  clip: z.boolean().default(true),
  signed_scales: z.boolean().default(true),
  rounding: z.enum(['nearest', 'gptq']).default('gptq'),
  follow_drift: z
    .boolean()
    .default(true)
    .describe('calibrate each layer for the inputs that the quantized layers before it give (gptq only)'),
  sweeps: z.int().min(0).max(100).default(4).describe('coordinate descent over the codes'),
  damping: positive.max(1).default(0.01),
  ignore: z.array(moduleEntry).default(['lm_head']),
  groups: z
    .array(
      z.strictObject({
        targets: z.array(moduleEntry).min(1),
        scheme: z.enum(SCHEMES),
        group_size: groupSize.default(128),
      }),
    )
    .default([]),
  format: z.enum(['compressed-tensors', 'autoawq']).default('compressed-tensors'),
  runtimes: z.array(z.enum(RUNTIMES)).default([]).describe('what must load the checkpoint; refused beforehand if not'),
});

/** Text that the quantized model is compared with its original on; never part of the mix. */
export const evaluateSchema = z.strictObject({
  sources: z.array(sourceSchema).min(1),
  tokens: count.nullable().default(null),
  sequence_length: count.optional().describe("the mix's unless given"),
  baseline: z.boolean().default(true).describe('also measure plain round-to-nearest with the same scheme'),
});

/** A recipe as written; design §8. `mix` and `quantize` may also name a file of another tool. */
export const recipeSchema = z.strictObject({
  evenkeel: z.literal(1).default(1),
  model: text.optional().describe('a folder, or a Hub id[@revision]'),
  mix: z.unknown(),
  balance: balanceSchema.prefault({}),
  quantize: z.unknown().optional(),
  evaluate: evaluateSchema.nullable().default(null).describe('null, or left out: nothing is measured'),
  output: text,
});
