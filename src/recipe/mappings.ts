import { matchesPattern } from '../checkpoint/module-patterns.js';
import { InputError } from '../errors.js';
import type { MappingRecipe } from './recipe.js';

/** A smoothing edge by its modules' names: what absorbs 1/s, and the Linears whose inputs take s. */
export interface EdgeNames {
  readonly smooth: string;
  readonly readers: readonly string[];
}

/** Names, or `re:` patterns, of what absorbs 1/s and of some Linears that read it. */
export type Mapping = Pick<MappingRecipe, 'smoothLayer' | 'balanceLayers'>;

/**
 * Whether a mapping asks for an edge. Naming one of its readers is enough: all that read the same tensor take s, or the
 * model would compute something else.
 */
export function asksFor({ smoothLayer, balanceLayers }: Mapping, { smooth, readers }: EdgeNames): boolean {
  return (
    matchesPattern(smoothLayer, smooth) &&
    balanceLayers.some((pattern) => readers.some((reader) => matchesPattern(pattern, reader)))
  );
}

/**
 * Checks the mappings of an imported recipe against the edges that the architecture declares.
 *
 * @returns edges that no mapping asks for, which are left alone
 * @throws InputError at a mapping that no declared edge carries out
 */
export function checkMappings<E extends EdgeNames>(mappings: readonly MappingRecipe[], edges: readonly E[]): E[] {
  const named = new Set<E>();
  for (const mapping of mappings) {
    const { smoothLayer, balanceLayers, location } = mapping;
    const matching = edges.filter((edge) => asksFor(mapping, edge));
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
