import { matchesPattern } from '../checkpoint/module-patterns.js';
import { InputError } from '../errors.js';
import type { DensePlan, LayerPlan, Linear, ModelPlan } from '../model/plan.js';
import { mixerLinears } from '../model/linears.js';
import type { Scheme } from './scheme.js';

/** What becomes of every Linear of a model, decided before anything runs, so that `inspect` can print it. */
export interface Targets {
  readonly quantized: ReadonlyMap<string, Scheme>;
  /** Module → why its weight stays as it is. */
  readonly kept: ReadonlyMap<string, string>;
  /** Modules whose group is smaller than asked for, because it has to divide their inputs. */
  readonly fallbacks: ReadonlyMap<string, string>;
}

export interface TargetSettings {
  readonly scheme: Scheme;
  /** Module names, or `re:` patterns anchored at the start, as llm-compressor has them. */
  readonly ignore: readonly string[];
  /** First match wins over `scheme`: mixed schemes through config groups. */
  readonly overrides?: readonly { readonly targets: readonly string[]; readonly scheme: Scheme }[];
}

/** Groups that every runtime's kernels know (vLLM's Marlin: −1, 32, 64, 128). */
const GROUPS = [128, 64, 32] as const;

/**
 * Decides scheme or reason for every Linear. Linears that a runtime fuses into one (q, k, v; gate, up; an MoE layer's
 * experts) get one scheme: vLLM refuses a fused layer with two.
 *
 * @throws InputError when an ignore pattern takes only some of a layer's experts
 */
export function chooseTargets(plan: ModelPlan, settings: TargetSettings): Targets {
  const quantized = new Map<string, Scheme>();
  const kept = new Map<string, string>();
  const fallbacks = new Map<string, string>();
  const ignored = (module: string): string | null =>
    settings.ignore.find((pattern) => matchesPattern(pattern, module)) ?? null;
  const family = (module: string): string | null =>
    plan.kept.find(({ pattern }) => matchesPattern(pattern, module))?.reason ?? null;
  for (const layer of plan.layers) {
    for (const set of fusedSets(layer)) {
      const reasons = set.map(({ module, kept: reason }) => {
        const pattern = ignored(module);
        return reason ?? family(module) ?? (pattern === null ? null : `ignored by '${pattern}'`);
      });
      const free = set.filter((_, i) => reasons[i] === null);
      if (free.length > 0 && free.length < set.length) throw partial(layer, set, reasons);
      if (free.length === 0) {
        set.forEach(({ module }, i) => kept.set(module, reasons[i]!));
        continue;
      }
      const asked = overrideOf(set[0]!.module, settings) ?? settings.scheme;
      const group = commonGroup(asked, set);
      if (group === null) {
        const widths = [...new Set(set.map(({ inFeatures }) => inFeatures))].join(', ');
        for (const { module } of set) kept.set(module, `no group of 128, 64 or 32 divides its ${widths} inputs`);
        continue;
      }
      for (const { module, inFeatures } of set) {
        quantized.set(module, { ...asked, groupSize: group });
        if (group !== asked.groupSize)
          fallbacks.set(module, `group ${group} instead of ${asked.groupSize}: ${inFeatures} inputs`);
      }
    }
  }
  return { quantized, kept, fallbacks };
}

function overrideOf(module: string, { overrides = [] }: TargetSettings): Scheme | null {
  const byName = overrides.find(({ targets }) =>
    targets.some((target) => target !== 'Linear' && matchesPattern(target, module)),
  );
  return (byName ?? overrides.find(({ targets }) => targets.includes('Linear')))?.scheme ?? null;
}

function commonGroup({ groupSize }: Scheme, set: readonly Linear[]): Scheme['groupSize'] | null {
  if (groupSize === 'channel') return 'channel';
  const serves = (group: number): boolean => set.every(({ inFeatures }) => inFeatures % group === 0);
  if (serves(groupSize)) return groupSize;
  return GROUPS.find((group) => group < groupSize && serves(group)) ?? null;
}

/** The Linears of a layer in sets that must agree. */
export function fusedSets({ mixer, feedForward }: LayerPlan): readonly (readonly Linear[])[] {
  const ofDense = ({ projections, down }: DensePlan): (readonly Linear[])[] => [
    projections.kind === 'fused' ? [projections.gateUp] : [projections.gate, projections.up],
    [down],
  ];
  const sets: (readonly Linear[])[] = [...mixerLinears(mixer)];
  if (feedForward.kind === 'dense') return [...sets, ...ofDense(feedForward)];
  const { experts, shared, router } = feedForward;
  sets.push(
    experts.flatMap(({ gate, up, down }) => [gate, up, down]),
    [router],
  );
  if (shared !== null) sets.push(...ofDense(shared.dense), ...(shared.gate === null ? [] : [[shared.gate]]));
  return sets;
}

function partial(layer: LayerPlan, set: readonly Linear[], reasons: readonly (string | null)[]): InputError {
  const at = reasons.findIndex((reason) => reason !== null);
  const other = reasons.indexOf(null);
  return new InputError(
    `choose what to quantize in '${layer.prefix}': '${set[at]!.module}' stays (${reasons[at]}) but '${set[other]!.module}' does not; ` +
      'runtimes fuse them into one layer, so all or none must be quantized',
  );
}

/** Every reader of an edge that is quantized; an edge without one is not worth smoothing. */
export function quantizedReaders(readers: readonly Linear[], targets: Targets): readonly Linear[] {
  return readers.filter(({ module }) => targets.quantized.has(module));
}
