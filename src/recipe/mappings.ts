import { matchesPattern } from '../checkpoint/module-patterns.js';
import { InputError } from '../errors.js';
import type { MappingRecipe } from './recipe.js';

/** A smoothing edge by its modules' names: what absorbs 1/s, and the Linears whose inputs take s. */
export interface EdgeNames {
  readonly smooth: string;
  readonly readers: readonly string[];
}

/**
 * Checks the mappings of an imported recipe against the edges that the architecture declares, which are the ones used.
 *
 * @returns edges that no mapping names: they are smoothed as well, and a run should say so
 * @throws InputError at a mapping that no declared edge carries out
 */
export function checkMappings<E extends EdgeNames>(mappings: readonly MappingRecipe[], edges: readonly E[]): E[] {
  const named = new Set<E>();
  for (const { smoothLayer, balanceLayers, location } of mappings) {
    const matching = edges.filter(
      ({ smooth, readers }) =>
        matchesPattern(smoothLayer, smooth) &&
        balanceLayers.some((pattern) => readers.some((reader) => matchesPattern(pattern, reader))),
    );
    for (const edge of matching) named.add(edge);
    const idle = balanceLayers.filter(
      (pattern) => !matching.some(({ readers }) => readers.some((reader) => matchesPattern(pattern, reader))),
    );
    if (matching.length === 0 || idle.length > 0) {
      const what =
        idle.length > 0
          ? `"${smoothLayer}" to ${idle.map((pattern) => `"${pattern}"`).join(', ')}`
          : `"${smoothLayer}"`;
      throw new InputError(`Cannot honour the mapping of ${what}: the architecture has no such smoothing edge`, {
        location,
      });
    }
  }
  return edges.filter((edge) => !named.has(edge));
}
