import { InputError } from '../errors.js';
import { activationPlan, densePlan, linearPlan, type Declaration } from './declare.js';
import type { ExpertPlan, Linear, MoePlan, SharedExpertPlan, VectorRef, WeightRef } from './plan.js';

type ExpertNames = readonly [gate: string, up: string, down: string];

/** All experts of a layer in one tensor per projection, gate and up together. */
export interface FusedExperts {
  /** [experts, 2·inner, hidden], or [experts, hidden, 2·inner] where `transposed`. */
  readonly gateUp: string;
  /** [experts, hidden, inner], or [experts, inner, hidden] where `transposed`. */
  readonly down: string;
  readonly transposed?: boolean;
  /** Gate in the even rows and up in the odd ones, instead of one half each. */
  readonly interleaved?: boolean;
}

export interface ExpertLayout {
  /** An expert's Linears, as stored one by one and as written. */
  readonly names?: ExpertNames;
  readonly fused?: FusedExperts;
}

const GATED: ExpertNames = ['gate_proj', 'up_proj', 'down_proj'];

/**
 * The routed experts of a layer, each as three 2-D Linears `<module>.<e>.<name>`, whether the checkpoint stores them one
 * by one or fused. A fused tensor is only ever read by slice, one expert at a time.
 *
 * @throws InputError when the checkpoint has neither, or a fused tensor of another shape
 */
export function routedExperts(
  declaration: Declaration,
  module: string,
  count: number,
  { names = GATED, fused = { gateUp: `${module}.gate_up_proj`, down: `${module}.down_proj` } }: ExpertLayout = {},
): ExpertPlan[] {
  const { source } = declaration;
  if (source.has(`${module}.0.${names[0]}.weight`)) {
    checkCount(declaration, module, count, storedExperts(declaration, module, names[0]));
    return Array.from({ length: count }, (_, e) => {
      const projection = (name: string): Linear => linearPlan(declaration, `${module}.${e}.${name}`);
      return { gate: projection(names[0]), up: projection(names[1]), down: projection(names[2]) };
    });
  }
  if (source.has(fused.gateUp)) return fusedExperts(declaration, module, count, names, fused);
  throw new InputError(
    `read the experts of '${module}': wanted '${module}.0.${names[0]}.weight' or '${fused.gateUp}', got neither`,
  );
}

/** Experts that are stored one by one, by the tensors' names. */
function storedExperts({ source }: Pick<Declaration, 'source'>, module: string, name: string): number {
  let stored = 0;
  while (source.has(`${module}.${stored}.${name}.weight`)) stored++;
  return stored;
}

/** Under what keys config.json says how many experts there are. */
const COUNT_KEYS = ['num_local_experts', 'num_experts', 'n_routed_experts', 'moe_num_experts'] as const;

/** A config for fewer experts would be taken at its word, and the others left out of the model. */
function checkCount({ config }: Pick<Declaration, 'config'>, module: string, count: number, stored: number): void {
  if (stored === count) return;
  const key = COUNT_KEYS.find((each) => config.has(each)) ?? 'num_experts';
  throw new InputError(
    `read config.json: wanted "${key}" as ${stored}, the experts of '${module}' in the checkpoint, got ${count}`,
  );
}

function fusedExperts(
  { config, source }: Declaration,
  module: string,
  count: number,
  names: ExpertNames,
  { gateUp, down, transposed = false, interleaved = false }: FusedExperts,
): ExpertPlan[] {
  const hidden = config.number('hidden_size');
  checkCount({ config }, gateUp, count, source.shape(gateUp)[0]!);
  const inner = source.shape(down)[transposed ? 1 : 2]!;
  const wanted = (out: number, into: number): number[] => [count, ...(transposed ? [into, out] : [out, into])];
  check(gateUp, source.shape(gateUp), wanted(2 * inner, hidden));
  check(down, source.shape(down), wanted(hidden, inner));
  const [gateRows, upRows] = interleaved
    ? [
        { from: 0, to: 2 * inner, step: 2 },
        { from: 1, to: 2 * inner, step: 2 },
      ]
    : [
        { from: 0, to: inner, step: 1 },
        { from: inner, to: 2 * inner, step: 1 },
      ];
  const part = (e: number, name: string, tensor: string, rows: WeightRef['rows'] | null): Linear => {
    const ref: VectorRef = { tensor, index: e, ...(rows == null ? {} : { rows }) };
    const [outFeatures, inFeatures] = rows === null ? [hidden, inner] : [inner, hidden];
    const bias = source.has(`${tensor}_bias`) ? { ...ref, tensor: `${tensor}_bias` } : null;
    return {
      module: `${module}.${e}.${name}`,
      weight: { ...ref, transposed },
      bias,
      outFeatures,
      inFeatures,
      kept: null,
    };
  };
  return Array.from({ length: count }, (_, e) => ({
    gate: part(e, names[0], gateUp, gateRows),
    up: part(e, names[1], gateUp, upRows),
    down: part(e, names[2], down, null),
  }));
}

function check(tensor: string, shape: readonly number[], wanted: readonly number[]): void {
  if (shape.length === wanted.length && shape.every((size, i) => size === wanted[i])) return;
  throw new InputError(`read '${tensor}': wanted shape [${wanted.join(', ')}], got [${shape.join(', ')}]`);
}

/** An MoE block that weights its experts' outputs and shares none, unless told otherwise. */
export function moePlan(
  { config }: Declaration,
  block: Pick<MoePlan, 'router' | 'rule' | 'topK' | 'experts'> & Partial<MoePlan>,
): MoePlan {
  return { kind: 'moe', activation: activationPlan(config), weightOn: 'output', shared: null, ...block };
}

/** The expert that every token passes, or null where the checkpoint has none. */
export function sharedExpertPlan(
  declaration: Declaration,
  module: string,
  gate: Linear | null = null,
): SharedExpertPlan | null {
  if (!declaration.source.has(`${module}.gate_proj.weight`)) return null;
  return { dense: densePlan(declaration, module), gate };
}
