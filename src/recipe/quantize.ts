import type { z } from 'zod';
import type { Location } from '../errors.js';
import type { QuantizeRecipe, SchemeRecipe } from './recipe.js';
import { quantizeSchema, type SCHEMES } from './schema.js';
import type { KeyPath } from './yaml-document.js';

export type SchemeName = (typeof SCHEMES)[number];

/** A scheme by compressed-tensors' preset name, with a grouping of its own. */
export function namedScheme(name: SchemeName, groupSize: SchemeRecipe['groupSize']): SchemeRecipe {
  return { bits: name === 'W8A16' ? 8 : 4, symmetric: name !== 'W4A16_ASYM', groupSize };
}

/**
 * `quantize` as written to `quantize` as used.
 *
 * @param locate where a key of it stands, for errors
 */
export function resolveQuantize(
  raw: z.output<typeof quantizeSchema>,
  locate: (path: KeyPath) => Location | null = () => null,
): QuantizeRecipe {
  return {
    scheme: namedScheme(raw.scheme, raw.group_size),
    groups: raw.groups.map(({ targets, scheme, group_size }) => ({ targets, scheme: namedScheme(scheme, group_size) })),
    targets: ['Linear'],
    experts: raw.experts,
    shrinkage: raw.shrinkage,
    grid: raw.grid,
    duoScaling: raw.duo_scaling,
    clip: raw.clip,
    signedScales: raw.signed_scales,
    rounding: raw.rounding,
    followDrift: raw.follow_drift,
    sweeps: raw.sweeps,
    columnOrder: 'diagonal',
    damping: raw.damping,
    ignore: raw.ignore,
    format: raw.format,
    runtimes: raw.runtimes,
    mappings: null,
    locations: entryLocations(raw, locate),
  };
}

function entryLocations(
  { ignore, groups }: z.output<typeof quantizeSchema>,
  locate: (path: KeyPath) => Location | null,
): ReadonlyMap<string, Location> {
  const entries = [
    ...ignore.map((entry, index) => [entry, ['ignore', index]] as const),
    ...groups.flatMap(({ targets }, group) =>
      targets.map((entry, index) => [entry, ['groups', group, 'targets', index]] as const),
    ),
  ];
  return new Map(
    entries.flatMap(([entry, path]) => {
      const location = locate(path);
      return location === null ? [] : [[entry, location] as const];
    }),
  );
}

/** What a recipe without `quantize` gets. */
export function defaultQuantize(): QuantizeRecipe {
  return resolveQuantize(quantizeSchema.parse({}));
}
