import type { LayerPlan, Tap } from '../model/plan.js';
import type { WeightOverride } from './jobs.js';
import { addEnergy, noEnergy, type LanguageEnergy } from './language-sample.js';
import {
  assignExperts,
  combineExperts,
  dealExperts,
  feedsAnother,
  runLayerBlocks,
  runRoutedExperts,
  type LayerRouting,
} from './layer-pass.js';
import { accumulatorOf, mixerRowsOf, type PassState } from './pass-state.js';
import { quantizeDriftingMixer } from './drift-mixer.js';
import { momentsOf } from './stream-moments.js';
import type { QuantizeContext } from './quantize-context.js';
import type { LinearResult } from './quantize-jobs.js';
import { evenSample, FORCED_SAMPLE } from './forced-sample.js';
import type { CellReport, EdgeReport, LayerReport } from './layer-report.js';
import type { QuantizedLayer } from './quantize-layer.js';
import { wantedTaps } from './wanted-taps.js';
import {
  BESIDE_EXPERTS,
  DENSE_TAPS,
  MIXER_TAPS,
  quantizeShared,
  relativeErrors,
  sumEnergy,
} from './quantize-shared.js';
import { edgeCandidates, meansOf, searchEdge, searchReaders, sumLosses, type Mean } from './search-edge.js';
import { rewriteTensors } from './rewrite.js';
import { expertOverhead } from './work.js';
import { settleInto, usableEdges, type Smoothing } from './smoothing.js';

/** What is settled of a layer before its feed-forward block. */
export interface SettledBlocks {
  readonly smoothing: Smoothing;
  readonly edges: EdgeReport[];
  readonly linears: readonly LinearResult[];
  readonly energy: LanguageEnergy;
  /** What the settled Linears compute with. */
  readonly overrides: readonly WeightOverride[];
}

/**
 * Quantizes a layer for the inputs it will really get. The follower's stream ĥ runs through what is quantized already; the
 * unquantized stream h beside it says what should have come out.
 */
export async function quantizeDriftingLayer(
  context: QuantizeContext,
  follower: PassState,
  layer: LayerPlan,
): Promise<QuantizedLayer> {
  const { lanes, plan, state, targets, sample } = context;
  const { index } = layer;
  const settled = await quantizeDriftingMixer(context, follower, layer);
  const taps = wantedTaps(layer, targets, true).filter((tap) => !MIXER_TAPS.has(tap));
  const rest = { sample: sample.tokens, half: 'rest', mixerRows: mixerRowsOf(state, layer) } as const;
  const means = meansOf(await runLayerBlocks(lanes, state, index, taps, rest), state.layout.tokens);
  const routing = assignExperts(plan, state, index);
  const report =
    routing === null
      ? await followDenseBlock(context, follower, layer, means, settled)
      : await quantizeDriftingExperts(context, follower, layer, routing, means, settled);
  return { report, routing };
}

/** Quantizes a dense block on the unquantized stream's inputs, and walks the follower through it. */
async function followDenseBlock(
  context: QuantizeContext,
  follower: PassState,
  layer: LayerPlan,
  means: ReadonlyMap<Tap, Mean>,
  { smoothing, edges, linears, energy, overrides }: SettledBlocks,
): Promise<LayerReport> {
  const { lanes, targets, sample } = context;
  const settle = settleInto(smoothing, edges);
  for (const edge of usableEdges(layer, targets).filter(({ tap }) => !MIXER_TAPS.has(tap))) {
    await searchEdge(context, layer, edge, means.get(edge.tap)!, settle);
  }
  const block = await quantizeShared(context, layer, means, smoothing, { taps: DENSE_TAPS, effective: true });
  const all = [...linears, ...block.linears];
  const effective = block.linears.flatMap((linear) => (linear.effective === null ? [] : [linear.effective]));
  if (feedsAnother(context.plan, layer.index)) {
    await runLayerBlocks(lanes, follower, layer.index, [], {
      overrides: [...overrides, ...effective],
      half: 'rest',
      mixerRows: mixerRowsOf(follower, layer),
    });
  }
  await context.put(rewriteTensors(context, layer, smoothing));
  return {
    layer: layer.index,
    languageErrors: relativeErrors(addEnergy(energy, block.energy), sample.languages),
    edges,
    linears: all.map(({ module, relativeError }) => ({ module, relativeError })),
    experts: [],
  };
}

/**
 * Experts are quantized on x̂: gate and up towards what they did on x, down on what those two then put out. up → down is
 * left alone: by then up is quantized. What the stream lacks is left to the next mixer's output Linear to repay.
 */
async function quantizeDriftingExperts(
  context: QuantizeContext,
  follower: PassState,
  layer: LayerPlan,
  routing: LayerRouting,
  means: ReadonlyMap<Tap, Mean>,
  settled: SettledBlocks,
): Promise<LayerReport> {
  const { lanes, plan, state, targets, sample, put } = context;
  const { moe } = routing;
  const { index } = layer;
  const { tokens } = state.layout;
  const goesOn = feedsAnother(plan, index);
  // The unquantized stream first: its experts' outputs complete h.
  if (goesOn) await runRoutedExperts(lanes, state, index, routing);
  if (goesOn) await combineExperts(lanes, plan, state, index);
  const rest = { overrides: settled.overrides, half: 'rest', mixerRows: mixerRowsOf(follower, layer) } as const;
  await runLayerBlocks(lanes, follower, index, [], rest);
  const followed = assignExperts(plan, follower, index)!;
  if (!targets.quantized.has(moe.experts[0]!.down.module)) {
    // Experts that stay as they are: both streams simply pass them.
    if (goesOn) await runRoutedExperts(lanes, follower, index, followed);
    if (goesOn) await combineExperts(lanes, plan, follower, index);
    return withShared(context, layer, means, settled, noEnergy(sample.languages.length), []);
  }
  const { mean, cross } = await momentsOf(context, {
    own: state.expertsInput!,
    followed: follower.expertsInput!,
    normedBy: null,
    streams: null,
  });
  const drift = await lanes.call(0, 'drift', { gram: mean.gram, cross, tokens });

  const edge = usableEdges(layer, targets).find(({ tap }) => tap === 'feed-forward-input');
  const input = { expertsInput: follower.expertsInput!, routing: follower.routing!, assignments: followed.assignments };
  const dealt = dealExperts(followed.assignments, lanes.count, expertOverhead(moe, context.settings));
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
    settleInto(smoothing, edges)(edge, candidates, losses);
  }
  const scales = smoothing.inputs.get(moe.experts[0]!.gate.module) ?? null;
  const parts = await Promise.all(
    dealt.map((experts, lane) =>
      lanes.call(
        lane,
        'quantizeFollowing',
        {
          ...input,
          layer: index,
          experts,
          layerGram: mean.gram,
          drift,
          scales,
          accumulator: goesOn ? accumulatorOf(follower, lane, lanes.count) : null,
          forced: evenSample(tokens, FORCED_SAMPLE),
          sample,
        },
        { take: put },
      ),
    ),
  );
  if (goesOn) await combineExperts(lanes, plan, follower, index);

  const cells = parts.flatMap(({ experts }) => experts).sort((a, b) => a.expert - b.expert);
  const reports = cells.map(({ expert, tokens: count, ownShare, linears }): CellReport => ({
    expert,
    tokens: count,
    ownShare,
    downRatio: null,
    downLossBefore: 0,
    downLoss: 0,
    relativeErrors: linears.map(({ relativeError }) => relativeError),
  }));
  return withShared(context, layer, means, settled, sumEnergy(parts, sample.languages.length), reports);
}

/** Quantizes what stands beside the routed experts, now that the scales of their common edge are known. */
async function withShared(
  context: QuantizeContext,
  layer: LayerPlan,
  means: ReadonlyMap<Tap, Mean>,
  { smoothing, edges, linears, energy }: SettledBlocks,
  expertEnergy: LanguageEnergy,
  experts: readonly CellReport[],
): Promise<LayerReport> {
  const beside = await quantizeShared(context, layer, means, smoothing, { taps: BESIDE_EXPERTS });
  const plain = [...linears, ...beside.linears];
  const total = [energy, beside.energy, expertEnergy].reduce(
    (sum, part) => addEnergy(sum, part),
    noEnergy(context.sample.languages.length),
  );
  await context.put(rewriteTensors(context, layer, smoothing));
  return {
    layer: layer.index,
    languageErrors: relativeErrors(total, context.sample.languages),
    edges,
    linears: plain.map(({ module, relativeError }) => ({ module, relativeError })),
    experts,
  };
}
