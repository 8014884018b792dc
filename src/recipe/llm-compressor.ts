import { InputError, type Location } from '../errors.js';
import {
  MODIFIER_SCHEMAS,
  MODIFIERS,
  WITHOUT_EFFECT,
  type ModifierName,
  type ModifierSettings,
} from './llm-compressor-schema.js';
import { quantizationOf, type Quantization } from './llm-compressor-scheme.js';
import { ignoredModules, untargeted } from './llm-compressor-targets.js';
import { nearest } from './nearest.js';
import { defaultQuantize } from './quantize.js';
import type { MappingRecipe, QuantizeRecipe, RecipeNote } from './recipe.js';
import { validate } from './validate.js';
import type { KeyPath, YamlDocument } from './yaml-document.js';

interface Found {
  readonly name: ModifierName;
  readonly data: unknown;
  readonly at: KeyPath;
}

/** Whether data is an llm-compressor recipe: stages of modifiers, or modifiers at the root. */
export function isCompressorRecipe(data: unknown): data is Readonly<Record<string, unknown>> {
  if (!isObject(data)) return false;
  return Object.keys(data).some((key) => key.endsWith('Modifier') || isContainer(key) || key === 'modifiers');
}

/**
 * An llm-compressor recipe as `quantize`: QuantizationModifier or GPTQModifier rounds, AWQModifier smooths before it; without
 * one nothing is smoothed. A setting with no bearing on the result is noted; one that cannot be honoured is an error at its
 * line.
 */
export function importCompressorRecipe(
  data: Readonly<Record<string, unknown>>,
  document: YamlDocument,
  at: KeyPath,
  notes: RecipeNote[],
): QuantizeRecipe {
  const note = (path: KeyPath, message: string): void => {
    notes.push({ message, location: document.locate(path, 'key') });
  };
  const found = findModifiers(data, document, at, note);
  const [last] = found.toReversed();
  if (last === undefined) {
    throw new InputError('Cannot honour the recipe: it has no modifier', { location: document.locate(at, 'key') });
  }
  const smooths = found.some(({ name }) => name === 'AWQModifier');
  let result: QuantizeRecipe = {
    ...defaultQuantize(),
    rounding: 'nearest',
    clip: false,
    signedScales: false,
    followDrift: false,
    sweeps: 0,
    ignore: [],
    groups: [],
    mappings: smooths ? null : [],
  };
  const locations = new Map<string, Location>();
  let schemed: { readonly by: Found; readonly quantization: Quantization } | null = null;
  for (const modifier of found) {
    const settings = validate(MODIFIER_SCHEMAS[modifier.name], modifier.data, document, modifier.at);
    for (const [entry, path] of entriesOf(settings)) locations.set(entry, document.locate([...modifier.at, ...path]));
    for (const [key, why] of Object.entries(WITHOUT_EFFECT))
      if (key in settings) note([...modifier.at, key], `${key} has no bearing here: ${why}`);
    const quantization = quantizationOf(settings, document, modifier.at);
    if (quantization !== null) {
      if (schemed !== null && JSON.stringify(quantization) !== JSON.stringify(schemed.quantization)) {
        throw new InputError(`Cannot honour two different schemes, of ${schemed.by.name} and ${modifier.name}`, {
          location: document.locate(modifier.at, 'key'),
        });
      }
      schemed = { by: modifier, quantization };
    }
    if (settings.ignore !== undefined) {
      const ignored = ignoredModules(settings.ignore, document, [...modifier.at, 'ignore'], note);
      result = { ...result, ignore: [...new Set([...result.ignore, ...ignored])] };
    }
    result = withOwnSettings(result, settings, modifier, document, note);
  }
  if (schemed === null)
    throw new InputError('Cannot honour the recipe: none of its modifiers has a scheme or config_groups', {
      location: document.locate(last.at, 'key'),
    });
  const { by, quantization } = schemed;
  const left = untargeted(quantization.targets, result.ignore, document, by.at, note);
  for (const entry of left) locations.set(entry, document.locate(by.at, 'key'));
  const { scheme, groups, targets, clip } = quantization;
  return { ...result, scheme, groups, targets, clip, ignore: [...result.ignore, ...left], locations };
}

/** Entries that name modules, with their paths below the modifier. */
function entriesOf({
  ignore = [],
  config_groups: groups = {},
  scheme,
}: ModifierSettings): (readonly [string, KeyPath])[] {
  const lists = [
    ...Object.entries(groups).map(([name, { targets }]) => [targets, ['config_groups', name, 'targets']] as const),
    ...(typeof scheme === 'object' ? Object.entries(scheme) : []).map(
      ([name, targets]) => [targets, ['scheme', name]] as const,
    ),
  ];
  return [
    ...ignore.map((entry, index) => [entry, ['ignore', index]] as const),
    ...lists.flatMap(([targets, path]) => targets.map((entry, index) => [entry, [...path, index]] as const)),
  ];
}

/** What only one kind of modifier has. */
function withOwnSettings(
  recipe: QuantizeRecipe,
  settings: ModifierSettings,
  { name, at }: Found,
  document: YamlDocument,
  note: (path: KeyPath, message: string) => void,
): QuantizeRecipe {
  let result = recipe;
  if ('duo_scaling' in settings && settings.duo_scaling !== undefined)
    result = { ...result, duoScaling: settings.duo_scaling };
  if ('n_grid' in settings && settings.n_grid !== undefined) result = { ...result, grid: settings.n_grid };
  if ('mappings' in settings && settings.mappings) {
    settings.mappings.forEach(({ activation_hook_target: hook }, index) => {
      if (hook != null)
        note([...at, 'mappings', index, 'activation_hook_target'], 'the inputs of an edge are known without a hook');
    });
    result = { ...result, mappings: mappingsOf(settings.mappings, document, at) };
  }
  if (name === 'GPTQModifier') {
    result = { ...result, rounding: 'gptq' };
    if ('dampening_frac' in settings && settings.dampening_frac != null)
      result = { ...result, damping: settings.dampening_frac };
    if ('actorder' in settings && !settings.actorder && settings.actorder !== undefined)
      result = { ...result, columnOrder: 'stored' };
  }
  return result;
}

function mappingsOf(
  mappings: readonly { readonly smooth_layer: string; readonly balance_layers: readonly string[] }[],
  document: YamlDocument,
  at: KeyPath,
): MappingRecipe[] {
  return mappings.map(({ smooth_layer, balance_layers }, index) => ({
    smoothLayer: smooth_layer,
    balanceLayers: balance_layers,
    location: document.locate([...at, 'mappings', index]),
  }));
}

/** `quant_stage`, `quant_modifiers`; stages that were merged into one file bear a number. */
function isContainer(key: string): boolean {
  return /_(stage(_\d+)?|modifiers)$/.test(key);
}

/** Modifiers of `*_stage: {*_modifiers: {…}}`, of `*_modifiers: {…}`, of `modifiers: [{name, …}]`, or at the root. */
function findModifiers(
  data: Readonly<Record<string, unknown>>,
  document: YamlDocument,
  at: KeyPath,
  note: (path: KeyPath, message: string) => void,
): Found[] {
  return Object.entries(data).flatMap(([key, value]): Found[] => {
    const here = [...at, key];
    if (key.endsWith('Modifier')) return [{ name: modifierName(key, document, here), data: value ?? {}, at: here }];
    if (key === 'modifiers' && Array.isArray(value))
      return value.map((entry: unknown, index) => listed(entry, document, [...here, index]));
    if (isContainer(key) && isObject(value)) return findModifiers(value, document, here, note);
    if (key === 'args' || (key === 'run_type' && value === 'oneshot')) {
      note(here, `${key} has no bearing here: there is one way to run`);
      return [];
    }
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
