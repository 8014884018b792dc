import { z } from 'zod';
import { InputError } from '../errors.js';
import { nearest } from './nearest.js';
import { defaultQuantize, namedScheme } from './quantize.js';
import type { MappingRecipe, QuantizeRecipe, RecipeNote, SchemeRecipe } from './recipe.js';
import { SCHEMES } from './schema.js';
import { validate } from './validate.js';
import type { KeyPath, YamlDocument } from './yaml-document.js';

/** Modifiers that this quantizer stands in for. */
const MODIFIERS = ['AWQModifier', 'QuantizationModifier', 'GPTQModifier'] as const;
type ModifierName = (typeof MODIFIERS)[number];

const targets = z.union([
  z
    .string()
    .min(1)
    .transform((target) => [target]),
  z.array(z.string().min(1)).min(1),
]);

/** What says where tensors live or in which order modules run; results are the same. */
const placement = {
  offload_device: z.unknown().optional(),
  offload_hessians: z.unknown().optional(),
  sequential_targets: z.unknown().optional(),
  sequential_update: z.unknown().optional(),
} as const;

const weightsSchema = z.strictObject({
  num_bits: z.union([z.literal(4), z.literal(8)]).default(8),
  type: z.literal('int').default('int'),
  symmetric: z.boolean().default(true),
  strategy: z.enum(['group', 'channel']).optional(),
  group_size: z.union([z.literal(32), z.literal(64), z.literal(128)]).nullish(),
  dynamic: z.literal(false).default(false),
  actorder: z.enum(['static', 'weight']).nullish(),
  observer: z.enum(['minmax', 'memoryless_minmax', 'static_minmax', 'mse', 'memoryless_mse']).nullish(),
  observer_kwargs: z.strictObject({}).optional(),
  block_structure: z.null().optional(),
});

const groupSchema = z.strictObject({
  targets,
  weights: weightsSchema,
  input_activations: z.null().optional(),
  output_activations: z.null().optional(),
  format: z.enum(['pack-quantized']).nullish(),
});

const common = {
  targets: targets.optional(),
  ignore: z.array(z.string().min(1)).optional(),
  scheme: z.union([z.enum(SCHEMES), z.partialRecord(z.enum(SCHEMES), targets)]).optional(),
  config_groups: z.record(z.string(), groupSchema).optional(),
  kv_cache_scheme: z.null().optional(),
  ...placement,
} as const;

const SCHEMAS = {
  AWQModifier: z.strictObject({
    ...common,
    mappings: z
      .array(
        z.strictObject({
          smooth_layer: z.string().min(1),
          balance_layers: z.array(z.string().min(1)).min(1),
          activation_hook_target: z.null().optional(),
        }),
      )
      .nullish(),
    duo_scaling: z.union([z.boolean(), z.literal('both')]).optional(),
    n_grid: z.int().min(3).max(1000).optional(),
  }),
  QuantizationModifier: z.strictObject(common),
  GPTQModifier: z.strictObject({
    ...common,
    block_size: z.int().positive().optional(),
    dampening_frac: z.number().positive().max(1).optional(),
    actorder: z.enum(['static', 'weight']).nullish(),
  }),
} as const;

interface Found {
  readonly name: ModifierName;
  readonly data: unknown;
  readonly at: KeyPath;
}

/** Whether data is an llm-compressor recipe: stages of modifiers, or modifiers at the root. */
export function isCompressorRecipe(data: unknown): data is Readonly<Record<string, unknown>> {
  if (!isObject(data)) return false;
  return Object.keys(data).some(
    (key) => key.endsWith('Modifier') || key.endsWith('_stage') || key.endsWith('_modifiers') || key === 'modifiers',
  );
}

/**
 * An llm-compressor recipe as `quantize`: AWQModifier, alone or with the QuantizationModifier or GPTQModifier that rounds.
 * A setting with no bearing on the result is noted; one that cannot be honoured is an error at its line.
 */
export function importCompressorRecipe(
  data: Readonly<Record<string, unknown>>,
  document: YamlDocument,
  at: KeyPath,
  notes: RecipeNote[],
): QuantizeRecipe {
  const found = findModifiers(data, document, at);
  const awq = found.find(({ name }) => name === 'AWQModifier');
  if (awq === undefined) {
    throw new InputError('Cannot honour the recipe: it has no AWQModifier, and every run here smooths', {
      location: document.locate(found[0]?.at ?? at, 'key'),
    });
  }
  const base = defaultQuantize();
  let result: QuantizeRecipe = {
    ...base,
    rounding: 'nearest',
    clip: false,
    signedScales: false,
    followDrift: false,
    sweeps: 0,
    ignore: [],
    groups: [],
  };
  let schemed: Found | null = null;
  for (const modifier of found) {
    const settings = validate(SCHEMAS[modifier.name], modifier.data, document, modifier.at);
    for (const key of Object.keys(placement)) {
      if (key in settings)
        notes.push({ message: `${key} has no bearing here`, location: document.locate([...modifier.at, key], 'key') });
    }
    const quantization = quantizationOf(settings, document, modifier.at);
    if (quantization !== null) {
      if (schemed !== null && JSON.stringify(quantization) !== JSON.stringify(pick(result))) {
        throw new InputError(`Cannot honour two different schemes, of ${schemed.name} and ${modifier.name}`, {
          location: document.locate(modifier.at, 'key'),
        });
      }
      schemed = modifier;
      result = { ...result, ...quantization };
    }
    if (settings.ignore !== undefined)
      result = { ...result, ignore: [...new Set([...result.ignore, ...settings.ignore])] };
    if ('duo_scaling' in settings && settings.duo_scaling !== undefined)
      result = { ...result, duoScaling: settings.duo_scaling };
    if ('n_grid' in settings && settings.n_grid !== undefined) result = { ...result, grid: settings.n_grid };
    if ('mappings' in settings && settings.mappings)
      result = { ...result, mappings: mappingsOf(settings.mappings, document, modifier.at) };
    if (modifier.name === 'GPTQModifier') {
      result = { ...result, rounding: 'gptq' };
      if ('dampening_frac' in settings && settings.dampening_frac !== undefined)
        result = { ...result, damping: settings.dampening_frac };
      if ('block_size' in settings)
        notes.push({
          message: 'block_size has no bearing here',
          location: document.locate([...modifier.at, 'block_size'], 'key'),
        });
    }
  }
  if (schemed === null)
    throw new InputError('Cannot honour the recipe: none of its modifiers has a scheme or config_groups', {
      location: document.locate(awq.at, 'key'),
    });
  return { ...result, ignore: [...result.ignore, ...untargeted(result.targets)] };
}

/** What targets leave out, as a pattern to ignore: everything that none of them matches. */
function untargeted(modules: readonly string[]): string[] {
  if (modules.includes('Linear')) return [];
  const patterns = modules.map((target) => (target.startsWith('re:') ? target.slice(3) : `${escape(target)}$`));
  return [`re:(?!(?:${patterns.join('|')}))`];
}

function escape(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/gu, String.raw`\$&`);
}

type Settings = z.output<(typeof SCHEMAS)[ModifierName]>;
type Quantization = Pick<QuantizeRecipe, 'scheme' | 'groups' | 'targets' | 'clip'>;

function pick({ scheme, groups, targets: modules, clip }: QuantizeRecipe): Quantization {
  return { scheme, groups, targets: modules, clip };
}

/** compressed-tensors' presets: groups of 128, W8A16 by channel. */
function quantizationOf(settings: Settings, document: YamlDocument, at: KeyPath): Quantization | null {
  const { scheme, config_groups: groups, targets: modules = ['Linear'] } = settings;
  if (scheme !== undefined && groups !== undefined) {
    throw new InputError('Cannot honour both scheme and config_groups', {
      location: document.locate([...at, 'config_groups'], 'key'),
    });
  }
  if (typeof scheme === 'string') return { scheme: preset(scheme), groups: [], targets: modules, clip: false };
  if (scheme !== undefined) {
    const entries = SCHEMES.flatMap((name) =>
      scheme[name] === undefined ? [] : [{ targets: scheme[name], scheme: preset(name) }],
    );
    return fromGroups(entries, false);
  }
  if (groups === undefined) return null;
  const entries = Object.entries(groups).map(([name, group]) => ({
    targets: group.targets,
    scheme: schemeOf(group.weights, document, [...at, 'config_groups', name, 'weights']),
  }));
  // The mse observer searches the range as `clip` does; the min-max ones take it as it is.
  const observers = Object.values(groups).map(({ weights }) => weights.observer?.includes('mse') === true);
  return fromGroups(entries, observers.some(Boolean));
}

function fromGroups(entries: QuantizeRecipe['groups'], clip: boolean): Quantization {
  const first = entries.find(({ targets: modules }) => modules.includes('Linear')) ?? entries[0];
  return {
    scheme: first?.scheme ?? preset('W4A16'),
    groups: entries.length > 1 ? entries : [],
    targets: [...new Set(entries.flatMap(({ targets: modules }) => modules))],
    clip,
  };
}

function preset(name: (typeof SCHEMES)[number]): SchemeRecipe {
  return namedScheme(name, name === 'W8A16' ? 'channel' : 128);
}

function schemeOf(weights: z.output<typeof weightsSchema>, document: YamlDocument, at: KeyPath): SchemeRecipe {
  const strategy =
    weights.strategy ?? (weights.group_size === null || weights.group_size === undefined ? 'channel' : 'group');
  if (strategy === 'channel') return { bits: weights.num_bits, symmetric: weights.symmetric, groupSize: 'channel' };
  if (weights.group_size === null || weights.group_size === undefined) {
    throw new InputError('Cannot honour strategy "group" without group_size', {
      location: document.locate([...at, 'strategy']),
    });
  }
  return { bits: weights.num_bits, symmetric: weights.symmetric, groupSize: weights.group_size };
}

function mappingsOf(
  mappings: readonly { smooth_layer: string; balance_layers: readonly string[] }[],
  document: YamlDocument,
  at: KeyPath,
): MappingRecipe[] {
  return mappings.map(({ smooth_layer, balance_layers }, index) => ({
    smoothLayer: smooth_layer,
    balanceLayers: balance_layers,
    location: document.locate([...at, 'mappings', index]),
  }));
}

/** Modifiers of `*_stage: {*_modifiers: {…}}`, of `*_modifiers: {…}`, of `modifiers: [{name, …}]`, or at the root. */
function findModifiers(data: Readonly<Record<string, unknown>>, document: YamlDocument, at: KeyPath): Found[] {
  return Object.entries(data).flatMap(([key, value]): Found[] => {
    const here = [...at, key];
    if (key.endsWith('Modifier')) return [{ name: modifierName(key, document, here), data: value ?? {}, at: here }];
    if (key === 'modifiers' && Array.isArray(value))
      return value.map((entry: unknown, index) => listed(entry, document, [...here, index]));
    if ((key.endsWith('_stage') || key.endsWith('_modifiers')) && isObject(value))
      return findModifiers(value, document, here);
    throw new InputError(`Unknown key "${key}" in an llm-compressor recipe: wanted a stage, or modifiers`, {
      location: document.locate(here, 'key'),
    });
  });
}

function listed(entry: unknown, document: YamlDocument, at: KeyPath): Found {
  if (!isObject(entry) || typeof entry['name'] !== 'string') {
    throw new InputError('Cannot read the modifier: wanted a name', { location: document.locate(at) });
  }
  const { name, ...data } = entry;
  return { name: modifierName(name, document, [...at, 'name']), data, at };
}

function modifierName(name: unknown, document: YamlDocument, at: KeyPath): ModifierName {
  const known = MODIFIERS.find((candidate) => candidate === name);
  if (known !== undefined) return known;
  const near = nearest(String(name), MODIFIERS);
  const hint = near === null ? `known are ${MODIFIERS.join(', ')}` : `did you mean "${near}"?`;
  throw new InputError(`Cannot honour modifier "${String(name)}"; ${hint}`, { location: document.locate(at, 'key') });
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
