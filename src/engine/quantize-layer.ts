import { linearsByTap } from '../model/linears.js';
import type { LayerPlan, SmoothingEdge } from '../model/plan.js';
import {
  assignExperts,
  combineExperts,
  dealExperts,
  feedsAnother,
  runLayerBlocks,
  type LayerRouting,
} from './layer-pass.js';
import type { QuantizeContext } from './quantize-context.js';
import { evenSample, FORCED_SAMPLE } from './forced-sample.js';
import { gramStride } from './gram-stride.js';
import { addEnergy, noEnergy } from './language-sample.js';
import type { EdgeReport, LayerReport } from './layer-report.js';
import { accumulatorOf } from './pass-state.js';
import { quantizedModules } from './quantized-modules.js';
import { quantizeShared, relativeErrors, sumEnergy } from './quantize-shared.js';
import {
  edgeCandidates,
  meansOf,
  searchEdge,
  searchReaders,
  sumLosses,
  type Mean,
  type Settle,
} from './search-edge.js';
import type { CalibrationJobs, ExpertResult } from './quantize-jobs.js';
import { rewriteTensors } from './rewrite.js';
import { wantedTaps } from './wanted-taps.js';
import { expertOverhead } from './work.js';
import { noSmoothing, settleInto, usableEdges, type Smoothing } from './smoothing.js';

/** What a layer's quantization leaves, besides the tensors it has put. */
export interface QuantizedLayer {
  readonly report: LayerReport;
  /** In the unquantized stream; null for a dense layer. */
  readonly routing: LayerRouting | null;
}

/**
 * Searches the scales of a layer's edges, runs its experts while quantizing their downs, then quantizes everything else.
 * All statistics are those of the unquantized model.
 */
export async function quantizeLayer(context: QuantizeContext, layer: LayerPlan): Promise<QuantizedLayer> {
  const { lanes, plan, targets, state, sample, settings } = context;
  const taps = wantedTaps(layer, targets);
  const widths = linearsByTap(layer);
  const widest = Math.max(plan.hiddenSize, ...taps.map((tap) => widths.get(tap)?.[0]?.inFeatures ?? 0));
  const stride = gramStride(settings.rounding, state.layout.tokens, widest);
  const sums = await runLayerBlocks(lanes, state, layer.index, taps, { sample: sample.tokens, stride });
  const routing = assignExperts(plan, state, layer.index);
  const means = meansOf(sums, state.layout.tokens);
  const smoothing = noSmoothing();
  const edges: EdgeReport[] = [];
  const usable = usableEdges(layer, targets).filter(({ tap }) => tap !== 'expert-down');
  const settle = settleInto(smoothing, edges);

  const shared = usable.find(({ tap }) => tap === 'feed-forward-input') ?? null;
  const hasExperts = routing !== null;
  for (const edge of usable) {
    if (!hasExperts || edge !== shared) await searchEdge(context, layer, edge, means.get(edge.tap)!, settle);
  }
  let experts: readonly ExpertResult[] = [];
  if (routing !== null) {
    experts = await searchExperts(context, layer, shared, means.get('feed-forward-input') ?? null, routing, settle);
  }

  const { linears, energy } = await quantizeShared(context, layer, means, smoothing);
  const gatesAndUps =
    routing === null || experts.length === 0
      ? { experts: [], energy: noEnergy(context.sample.languages.length) }
      : await quantizeGatesAndUps(context, layer, shared, means.get('feed-forward-input')!.gram, routing, smoothing);
  const byExpert = new Map(gatesAndUps.experts.map(({ expert, linears: own }) => [expert, own]));
  const downScales = new Map(
    experts.flatMap(({ expert, upScales }) => (upScales === null ? [] : [[expert, upScales] as const])),
  );
  recordDowns(layer, downScales, smoothing);
  await context.put(rewriteTensors(context, layer, smoothing));
  return {
    routing,
    report: {
      layer: layer.index,
      languageErrors: relativeErrors(addEnergy(energy, gatesAndUps.energy), context.sample.languages),
      edges,
      linears: linears.map(({ module, relativeError }) => ({ module, relativeError })),
      experts: experts.map(
        ({ expert, tokens: count, ownShare, downRatio, downLossBefore, downLoss, linears: down }) => ({
          expert,
          tokens: count,
          ownShare,
          downRatio,
          downLossBefore,
          downLoss,
          relativeErrors: [...(byExpert.get(expert) ?? []), ...down].map(({ relativeError }) => relativeError),
        }),
      ),
    },
  };
}

/**
 * Runs the experts on their tokens with their statistics taken, and searches the edge that gate and up of all of them
 * share, together with the shared expert's.
 */
async function searchExperts(
  context: QuantizeContext,
  layer: LayerPlan,
  edge: SmoothingEdge | null,
  mean: Mean | null,
  { assignments, moe }: LayerRouting,
  settle: Settle,
): Promise<readonly ExpertResult[]> {
  const { lanes, plan, state, targets, settings, put } = context;
  const { expertsInput, routing } = state;
  if (expertsInput === null || routing === null)
    throw new Error(`layer ${layer.index} has experts, but the pass has no room for them`);
  const readers = edge === null ? [] : quantizedModules(edge.readers, targets);
  const candidates = edge === null || mean === null ? [] : await edgeCandidates(context, layer, readers, mean);
  const parts = await Promise.all(
    dealExperts(assignments, lanes.count, expertOverhead(moe, settings)).map((experts, lane) =>
      lanes.call(
        lane,
        'calibrateExperts',
        {
          layer: layer.index,
          experts,
          expertsInput,
          accumulator: feedsAnother(plan, layer.index) ? accumulatorOf(state, lane, lanes.count) : null,
          routing,
          assignments,
          sample: evenSample(state.layout.tokens, FORCED_SAMPLE),
          layerGram: mean?.gram ?? new Float32Array(0),
          candidates,
        },
        { take: put },
      ),
    ),
  );
  if (feedsAnother(plan, layer.index)) await combineExperts(lanes, plan, state, layer.index);
  if (edge !== null && mean !== null) {
    const losses = sumLosses(
      parts.map((part) => part.losses),
      candidates.length,
    );
    const { feedForward } = layer;
    const expertModules = new Set(
      feedForward.kind === 'moe' ? feedForward.experts.flatMap(({ gate, up }) => [gate.module, up.module]) : [],
    );
    const others = readers.filter((module) => !expertModules.has(module));
    if (others.length > 0) {
      const ofShared = await searchReaders(context, layer, others, others.length, mean, candidates);
      ofShared.forEach((loss, i) => (losses[i]! += loss * state.layout.tokens));
    }
    settle(edge, candidates, losses);
  }
  return parts.flatMap(({ experts }) => experts).sort((a, b) => a.expert - b.expert);
}

async function quantizeGatesAndUps(
  { lanes, state, sample, settings, put }: QuantizeContext,
  layer: LayerPlan,
  edge: SmoothingEdge | null,
  layerGram: Float32Array,
  { assignments, moe }: LayerRouting,
  smoothing: Smoothing,
): Promise<CalibrationJobs['quantizeExperts']['result']> {
  const { expertsInput, routing } = state;
  const scales = edge === null ? null : (smoothing.inputs.get(moe.experts[0]!.gate.module) ?? null);
  const parts = await Promise.all(
    dealExperts(assignments, lanes.count, expertOverhead(moe, settings)).map((experts, lane) =>
      lanes.call(
        lane,
        'quantizeExperts',
        {
          layer: layer.index,
          experts,
          expertsInput: expertsInput!,
          routing: routing!,
          assignments,
          layerGram,
          scales,
          sample,
        },
        { take: put },
      ),
    ),
  );
  return { experts: parts.flatMap(({ experts }) => experts), energy: sumEnergy(parts, sample.languages.length) };
}

/** Each expert's up was divided in its lane; its bias, if any, is divided here. */
function recordDowns(layer: LayerPlan, downScales: ReadonlyMap<number, Float32Array>, smoothing: Smoothing): void {
  if (layer.feedForward.kind !== 'moe') return;
  for (const [expert, scales] of downScales)
    smoothing.outputs.set(layer.feedForward.experts[expert]!.up.module, scales);
}
