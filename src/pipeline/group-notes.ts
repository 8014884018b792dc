import { chooseTargets, fusedSets, type Targets } from '../awq/targets.js';
import { matchesPattern } from '../checkpoint/module-patterns.js';
import type { QuantizeSettings } from '../engine/quantize-settings.js';
import type { ModelPlan } from '../model/plan.js';
import type { SchemeRecipe } from '../recipe/recipe.js';

/** A module's path with `*` for its layer and expert. */
export function moduleKind(module: string): string {
  return module
    .split('.')
    .map((part) => (/^\d+$/.test(part) ? '*' : part))
    .join('.');
}

/**
 * The largest group up to `asked` that divides the inputs of every Linear which any group divides: for formats that hold
 * one size for a whole model.
 */
export function commonGroupSize(
  plan: ModelPlan,
  settings: Pick<QuantizeSettings, 'scheme' | 'ignore' | 'overrides'>,
): SchemeRecipe['groupSize'] {
  const { groupSize: asked } = settings.scheme;
  if (asked === 'channel' || (settings.overrides ?? []).length > 0) return asked;
  const { quantized } = chooseTargets(plan, settings);
  return [...quantized.values()].reduce<number>((least, { groupSize }) => Math.min(least, Number(groupSize)), asked);
}

/** One line per target without effect, and per kind of module that gets another group than asked for, or none at all. */
export function groupNotes(
  plan: ModelPlan,
  asked: SchemeRecipe,
  settings: Pick<QuantizeSettings, 'scheme' | 'ignore' | 'overrides' | 'format'>,
): readonly string[] {
  const targets = chooseTargets(plan, settings);
  const common =
    settings.scheme.groupSize === asked.groupSize
      ? []
      : [
          `group ${settings.scheme.groupSize} instead of ${asked.groupSize} for every Linear: ${settings.format} holds one size, ` +
            `and ${asked.groupSize} does not divide all inputs`,
        ];
  return [
    ...idleTargets(plan, settings.overrides ?? []).map((target) => `target '${target}' names no Linear of this model`),
    ...common,
    ...byKind(plan, targets.fallbacks).map(({ kind, modules, reason }) => `${modules.length} × ${kind}: ${reason}`),
    ...withoutGroup(plan, targets).map(
      ({ kind, modules, reason }) => `${modules.length} × ${kind} stay as they are: ${reason}`,
    ),
  ];
}

function idleTargets(plan: ModelPlan, overrides: NonNullable<QuantizeSettings['overrides']>): string[] {
  const modules = plan.layers.flatMap((layer) => fusedSets(layer).flatMap((set) => set.map(({ module }) => module)));
  return overrides
    .flatMap(({ targets }) => targets)
    .filter((target) => target !== 'Linear' && !modules.some((module) => matchesPattern(target, module)));
}

/** Linears that would be quantized if some group divided their inputs. */
function withoutGroup(plan: ModelPlan, { kept }: Targets): readonly ModuleKind[] {
  return byKind(plan, new Map([...kept].filter(([, reason]) => reason.startsWith('no group of'))));
}

export interface ModuleKind {
  readonly kind: string;
  readonly modules: readonly string[];
  readonly reason: string;
}

/** Modules told apart by kind and by what is said of them, in the order of the model. */
export function byKind(plan: ModelPlan, reasons: ReadonlyMap<string, string>): readonly ModuleKind[] {
  const kinds = new Map<string, { readonly kind: string; readonly modules: string[]; readonly reason: string }>();
  for (const { module } of plan.layers.flatMap((layer) => fusedSets(layer).flat())) {
    const reason = reasons.get(module);
    if (reason === undefined) continue;
    const kind = moduleKind(module);
    const known = kinds.get(`${kind} ${reason}`);
    if (known === undefined) kinds.set(`${kind} ${reason}`, { kind, modules: [module], reason });
    else known.modules.push(module);
  }
  return [...kinds.values()];
}
