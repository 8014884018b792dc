import { InputError } from '../errors.js';
import type { ModifierSettings, WeightArguments } from './llm-compressor-schema.js';
import { namedScheme } from './quantize.js';
import type { QuantizeRecipe, SchemeRecipe } from './recipe.js';
import { SCHEMES } from './schema.js';
import type { KeyPath, YamlDocument } from './yaml-document.js';

export type Quantization = Pick<QuantizeRecipe, 'scheme' | 'groups' | 'targets' | 'clip'>;

/** The schemes of a modifier and what each applies to; null when the modifier leaves them to another. */
export function quantizationOf(settings: ModifierSettings, document: YamlDocument, at: KeyPath): Quantization | null {
  const { scheme, config_groups: groups, targets: modules = ['Linear'] } = settings;
  if (scheme !== undefined && groups !== undefined) {
    throw new InputError('Cannot honour both scheme and config_groups', {
      location: document.locate([...at, 'config_groups'], 'key'),
    });
  }
  const observers = [settings.observer?.weights ?? settings.weight_observer];
  if (typeof scheme === 'string') {
    const only = preset(scheme, document, [...at, 'scheme'], 'value');
    return { scheme: only, groups: [], targets: modules, clip: searchesRange(observers) };
  }
  if (scheme !== undefined) {
    const entries = Object.entries(scheme).map(([name, own]) => ({
      targets: own,
      scheme: preset(name, document, [...at, 'scheme', name], 'key'),
    }));
    return fromGroups(entries, searchesRange(observers), document, [...at, 'scheme']);
  }
  if (groups === undefined) return null;
  const entries = Object.entries(groups).map(([name, group]) => ({
    targets: group.targets,
    scheme: schemeOf(group.weights, document, [...at, 'config_groups', name, 'weights']),
  }));
  const own = Object.values(groups).map(({ weights }) => weights.observer);
  return fromGroups(entries, searchesRange([...own, ...observers]), document, [...at, 'config_groups']);
}

function searchesRange(observers: readonly (string | null | undefined)[]): boolean {
  return observers.some((observer) => observer?.includes('mse') === true);
}

function fromGroups(
  entries: QuantizeRecipe['groups'],
  clip: boolean,
  document: YamlDocument,
  at: KeyPath,
): Quantization {
  const first = entries.find(({ targets: modules }) => modules.includes('Linear')) ?? entries[0];
  if (first === undefined)
    throw new InputError('Cannot honour the recipe: it names no scheme', { location: document.locate(at) });
  return {
    scheme: first.scheme,
    groups: entries.length > 1 ? entries : [],
    targets: [...new Set(entries.flatMap(({ targets: modules }) => modules))],
    clip,
  };
}

/** compressed-tensors' presets, by groups of 128 from 0.18 on; it reads their names in any case. */
function preset(name: string, document: YamlDocument, at: KeyPath, part: 'key' | 'value'): SchemeRecipe {
  const known = SCHEMES.find((scheme) => scheme === name.toUpperCase());
  if (known !== undefined) return namedScheme(known, 128);
  throw new InputError(`Cannot honour scheme "${name}": wanted ${SCHEMES.join(', ')}`, {
    location: document.locate(at, part),
  });
}

function schemeOf(weights: WeightArguments, document: YamlDocument, at: KeyPath): SchemeRecipe {
  const { num_bits: bits, symmetric, group_size: size = null } = weights;
  const strategy = weights.strategy ?? (size === null ? null : size === -1 ? 'channel' : 'group');
  if (strategy === null) {
    throw new InputError('Cannot honour one scale for a whole tensor: wanted strategy "group" or "channel"', {
      location: document.locate(at),
    });
  }
  const grouped = size !== null && size !== -1;
  if ((strategy === 'group') !== grouped) {
    throw new InputError(
      `Cannot honour strategy "${strategy}" ${grouped ? `with group_size ${size}` : 'without group_size'}`,
      { location: document.locate([...at, weights.strategy == null ? 'group_size' : 'strategy']) },
    );
  }
  return { bits, symmetric, groupSize: grouped ? size : 'channel' };
}
