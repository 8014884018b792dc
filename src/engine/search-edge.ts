import { scaleCandidates, type ScaleCandidate } from '../awq/scale-candidates.js';
import type { LayerPlan, SmoothingEdge, Tap } from '../model/plan.js';
import type { SharedSums } from './jobs.js';
import type { QuantizeContext } from './quantize-context.js';
import { quantizedModules } from './quantized-modules.js';

/** Means over tokens of a Linear's input, and its rows for sampled tokens. */
export interface Mean {
  readonly gram: Float32Array;
  readonly absolute: Float32Array;
  readonly sample: Float32Array;
  readonly sampledTokens: Int32Array;
}

/** The layer pass's sums as means over its tokens, in place. */
export function meansOf(sums: readonly SharedSums[], tokens: number): Map<Tap, Mean> {
  for (const { gram, absolute } of sums) {
    for (const values of [gram, absolute]) for (let i = 0; i < values.length; i++) values[i]! /= tokens;
  }
  return new Map(
    sums.map(({ tap, gram, absolute, sample, sampledTokens }) => [tap, { gram, absolute, sample, sampledTokens }]),
  );
}

/** Chooses an edge's scales by the candidates' losses and records them. */
export type Settle = (edge: SmoothingEdge, candidates: readonly ScaleCandidate[], losses: Float64Array) => void;

export async function searchEdge(
  context: QuantizeContext,
  layer: LayerPlan,
  edge: SmoothingEdge,
  mean: Mean,
  settle: Settle,
): Promise<void> {
  const readers = quantizedModules(edge.readers, context.targets);
  const candidates = await edgeCandidates(context, layer, readers, mean);
  settle(edge, candidates, await searchReaders(context, layer, readers, readers.length, mean, candidates));
}

export async function edgeCandidates(
  { lanes, settings }: QuantizeContext,
  layer: LayerPlan,
  modules: readonly string[],
  mean: Mean,
): Promise<ScaleCandidate[]> {
  const parts = await Promise.all(
    shares(modules, lanes.count).map((own, lane) =>
      lanes.call(lane, 'magnitude', { layer: layer.index, modules: own }),
    ),
  );
  const sum = new Float64Array(mean.absolute.length);
  let rows = 0;
  for (const part of parts) {
    part.sum.forEach((value, i) => (sum[i]! += value));
    rows += part.rows;
  }
  return scaleCandidates(
    mean.absolute,
    Float32Array.from(sum, (value) => value / rows),
    settings.search,
  );
}

export async function searchReaders(
  { lanes }: QuantizeContext,
  layer: LayerPlan,
  modules: readonly string[],
  ofModules: number,
  mean: Mean,
  candidates: readonly ScaleCandidate[],
): Promise<Float64Array> {
  const parts = await Promise.all(
    shares(modules, lanes.count).map((own, lane) =>
      lanes.call(lane, 'searchLinears', { layer: layer.index, modules: own, ofModules, gram: mean.gram, candidates }),
    ),
  );
  return sumLosses(parts, candidates.length);
}

export function sumLosses(parts: readonly Float64Array[], candidates: number): Float64Array {
  const total = new Float64Array(candidates);
  for (const part of parts) part.forEach((loss, i) => (total[i]! += loss));
  return total;
}

/** Modules in contiguous shares, one per lane, none empty. */
function shares<T>(items: readonly T[], hands: number): readonly (readonly T[])[] {
  const size = Math.ceil(items.length / hands);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
