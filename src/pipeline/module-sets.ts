import { fusedSets } from '../awq/targets.js';
import { describeScheme } from '../checkpoint/format.js';
import { matchesPattern } from '../checkpoint/module-patterns.js';
import { InputError } from '../errors.js';
import type { Linear, ModelPlan } from '../model/plan.js';
import type { QuantizeRecipe, SchemeRecipe } from '../recipe/recipe.js';

/** What a recipe asks for one Linear, and the entry that says so. */
interface Wish {
  readonly module: string;
  /** null: it stays as it is. */
  readonly scheme: SchemeRecipe | null;
  readonly entry: string | null;
}

/**
 * Checks that a recipe asks for one thing for all the Linears that runtimes hold in one tensor: q, k and v; gate and up;
 * the experts of a layer.
 *
 * @throws InputError at the entry of the recipe that takes only some of them
 */
export function checkModuleSets(plan: ModelPlan, recipe: QuantizeRecipe): void {
  for (const set of plan.layers.flatMap((layer) => fusedSets(layer))) {
    const wishes = set.filter((linear) => !isKept(plan, linear)).map(({ module }) => wishFor(module, recipe));
    const [first, ...rest] = wishes;
    const other = first === undefined ? undefined : rest.find((wish) => !agree(wish, first));
    if (first === undefined || other === undefined) continue;
    const location = [other, first]
      .map(({ entry }) => (entry === null ? undefined : recipe.locations.get(entry)))
      .find((found) => found !== undefined);
    throw new InputError(
      `Cannot write '${first.module}' ${describe(first)} and '${other.module}' ${describe(other)}: runtimes hold them in one tensor`,
      location === undefined ? {} : { location },
    );
  }
}

function isKept(plan: ModelPlan, { module, kept }: Linear): boolean {
  return kept !== null || plan.kept.some(({ pattern }) => matchesPattern(pattern, module));
}

function wishFor(module: string, { ignore, groups, scheme }: QuantizeRecipe): Wish {
  const ignored = ignore.find((entry) => matchesPattern(entry, module));
  if (ignored !== undefined) return { module, scheme: null, entry: ignored };
  for (const { targets, scheme: own } of groups) {
    const entry = targets.find((target) => target !== 'Linear' && matchesPattern(target, module));
    if (entry !== undefined) return { module, scheme: own, entry };
  }
  const byClass = groups.find(({ targets }) => targets.includes('Linear'));
  return { module, scheme: byClass?.scheme ?? scheme, entry: null };
}

function agree(a: Wish, b: Wish): boolean {
  return describe(a) === describe(b);
}

function describe({ scheme }: Wish): string {
  return scheme === null ? 'as it is' : `as ${describeScheme(scheme)}`;
}
