import { chooseScales } from '../awq/scale-search.js';
import type { LayerPlan, Tap } from '../model/plan.js';
import type { WeightOverride } from './jobs.js';
import { addEnergy, noEnergy, type LanguageEnergy } from './language-sample.js';
import {
  assignExperts,
  combineExperts,
  dealExperts,
  runLayerBlocks,
  runRoutedExperts,
  spans,
  type LayerRouting,
  type PassState,
} from './layer-pass.js';
import type { QuantizeContext } from './quantize-context.js';
import type { LinearResult } from './quantize-jobs.js';
import { evenSample, FORCED_SAMPLE } from './forced-sample.js';
import type { CellReport, EdgeReport, LayerResult } from './layer-report.js';
import { BESIDE_EXPERTS, quantizeShared, relativeErrors } from './quantize-shared.js';
import { edgeCandidates, searchReaders, sumLosses, type Mean } from './search-edge.js';
import { rewriteTensors } from './rewrite.js';
import { applyEdge, usableEdges, type Smoothing } from './smoothing.js';

/** What is settled of a layer before its experts. */
export interface SettledBlocks {
  readonly smoothing: Smoothing;
  readonly edges: EdgeReport[];
  readonly means: ReadonlyMap<Tap, Mean>;
  readonly linears: readonly LinearResult[];
  readonly energy: LanguageEnergy;
  /** What the settled Linears compute with. */
  readonly overrides: readonly WeightOverride[];
}

/** Walks the follower through a layer without routed experts: all its Linears as they were quantized. */
export async function followDenseLayer(
  context: QuantizeContext,
  follower: PassState,
  layer: LayerPlan,
  { smoothing, edges, linears, energy, overrides }: SettledBlocks,
): Promise<LayerResult> {
  await runLayerBlocks(context.lanes, follower, layer.index, [], undefined, overrides);
  return {
    tensors: [...linears.flatMap(({ tensors }) => tensors), ...rewriteTensors(context, layer, smoothing)],
    report: {
      layer: layer.index,
      languageErrors: relativeErrors(energy, context.sample.languages),
      edges,
      linears: linears.map(({ module, relativeError }) => ({ module, relativeError })),
      experts: [],
    },
  };
}

/**
 * Quantizes the experts of a layer for the inputs they will really get. The follower's stream ĥ runs through attention as
 * quantized; gate and up are quantized towards what they did on x, downs so that they also repay what ĥ lacks of h.
 * up → down is left alone: with both corrections, smoothing it gained nothing measurable.
 */
export async function quantizeDriftingExperts(
  context: QuantizeContext,
  follower: PassState,
  layer: LayerPlan,
  routing: LayerRouting,
  settled: SettledBlocks,
): Promise<LayerResult> {
  const { lanes, plan, state, targets, sample } = context;
  const { moe } = routing;
  const { index } = layer;
  const { tokens } = state.layout;
  // The unquantized stream first: its experts' outputs complete h.
  await runRoutedExperts(lanes, state, index, routing);
  await combineExperts(lanes, plan, state, index);
  await runLayerBlocks(lanes, follower, index, [], undefined, settled.overrides);
  const followed = assignExperts(plan, follower, index)!;
  if (!targets.quantized.has(moe.experts[0]!.down.module)) {
    // Experts that stay as they are: both streams simply pass them.
    await runRoutedExperts(lanes, follower, index, followed);
    await combineExperts(lanes, plan, follower, index);
    return withShared(context, layer, settled, [], noEnergy(sample.languages.length), []);
  }
  const mean = await followedMoments(context, follower);

  const edge = usableEdges(layer, targets).find(({ tap }) => tap === 'feed-forward-input');
  const input = { expertsInput: follower.expertsInput!, routing: follower.routing!, assignments: followed.assignments };
  const dealt = dealExperts(followed.assignments, lanes.count, FORCED_SAMPLE);
  const { smoothing, edges } = settled;
  if (edge !== undefined) {
    const readers = edge.readers.map(({ module }) => module).filter((module) => targets.quantized.has(module));
    const candidates = await edgeCandidates(context, layer, readers, mean);
    const losses = sumLosses(
      await Promise.all(
        dealt.map((experts, lane) =>
          lanes.call(lane, 'searchGates', { ...input, layer: index, experts, layerGram: mean.gram, candidates }),
        ),
      ),
      candidates.length,
    );
    const ofExperts = new Set(moe.experts.flatMap(({ gate, up }) => [gate.module, up.module]));
    const others = readers.filter((module) => !ofExperts.has(module));
    if (others.length > 0) {
      const ofShared = await searchReaders(context, layer, others, others.length, mean, candidates);
      ofShared.forEach((loss, i) => (losses[i]! += loss * tokens));
    }
    const { scales, ratio, lossBefore, loss } = chooseScales(candidates, losses);
    edges.push({ edge: edge.name, ratio, lossBefore, loss });
    if (ratio !== null) applyEdge(smoothing, edge, scales);
  }
  const scales = smoothing.inputs.get(moe.experts[0]!.gate.module) ?? null;
  const gates = await Promise.all(
    dealt.map((experts, lane) =>
      lanes.call(lane, 'quantizeGates', {
        ...input,
        layer: index,
        experts,
        layerGram: mean.gram,
        drift: mean.drift,
        scales,
        accumulator: follower.accumulators[lane]!,
        sample,
      }),
    ),
  );
  // x is not needed any more: its rows take the residual.
  const residual = state.expertsInput!;
  await Promise.all(
    spans(tokens, lanes.count).map(([from, to], lane) =>
      lanes.call(lane, 'residual', {
        from,
        to,
        scale: layer.residualScale,
        hidden: state.hidden,
        follower: follower.hidden,
        accumulators: follower.accumulators,
        residual,
      }),
    ),
  );
  const downs = await Promise.all(
    dealt.map((experts, lane) =>
      lanes.call(lane, 'quantizeDowns', {
        ...input,
        layer: index,
        experts,
        residual,
        accumulator: follower.accumulators[lane]!,
        scales,
        forced: evenSample(tokens, FORCED_SAMPLE),
      }),
    ),
  );
  await combineExperts(lanes, plan, follower, index);

  const energy = gates.reduce((sum, part) => addEnergy(sum, part.energy), noEnergy(sample.languages.length));
  const byExpert = new Map(gates.flatMap(({ experts }) => experts).map(({ expert, linears }) => [expert, linears]));
  const cells = downs.flat().sort((a, b) => a.expert - b.expert);
  const linears = cells.flatMap(({ expert, down }) => [...byExpert.get(expert)!, down]);
  const reports = cells.map(({ expert, tokens: count, ownShare, down }): CellReport => ({
    expert,
    tokens: count,
    ownShare,
    downRatio: null,
    relativeErrors: [...byExpert.get(expert)!, down].map(({ relativeError }) => relativeError),
  }));
  return withShared(context, layer, settled, linears, energy, reports);
}

/** Quantizes what stands beside the routed experts, now that the scales of their common edge are known. */
async function withShared(
  context: QuantizeContext,
  layer: LayerPlan,
  { smoothing, edges, means, linears, energy }: SettledBlocks,
  expertLinears: readonly LinearResult[],
  expertEnergy: LanguageEnergy,
  experts: readonly CellReport[],
): Promise<LayerResult> {
  const beside = await quantizeShared(context, layer, means, smoothing, { taps: BESIDE_EXPERTS });
  const plain = [...linears, ...beside.linears];
  const total = [energy, beside.energy, expertEnergy].reduce(
    (sum, part) => addEnergy(sum, part),
    noEnergy(context.sample.languages.length),
  );
  return {
    tensors: [
      ...[...plain, ...expertLinears].flatMap(({ tensors }) => tensors),
      ...rewriteTensors(context, layer, smoothing),
    ],
    report: {
      layer: layer.index,
      languageErrors: relativeErrors(total, context.sample.languages),
      edges,
      linears: plain.map(({ module, relativeError }) => ({ module, relativeError })),
      experts,
    },
  };
}

/** Means over the follower's expert inputs, and the regression of x on them. */
async function followedMoments(
  { lanes, state }: QuantizeContext,
  follower: PassState,
): Promise<Mean & { readonly drift: Float32Array }> {
  const { tokens } = state.layout;
  const parts = await Promise.all(
    spans(tokens, lanes.count).map(([from, to], lane) =>
      lanes.call(lane, 'crossMoments', {
        from,
        to,
        expertsInput: state.expertsInput!,
        follower: follower.expertsInput!,
      }),
    ),
  );
  const mean = (pick: (part: (typeof parts)[number]) => Float32Array): Float32Array => {
    const total = new Float32Array(pick(parts[0]!).length);
    for (const part of parts) pick(part).forEach((value, i) => (total[i]! += value / tokens));
    return total;
  };
  const gram = mean((part) => part.gram);
  const cross = mean((part) => part.cross);
  const drift = await lanes.call(0, 'drift', { gram, cross, tokens });
  return {
    gram,
    absolute: mean((part) => part.absolute),
    sample: new Float32Array(0),
    sampledTokens: new Int32Array(0),
    drift,
  };
}
