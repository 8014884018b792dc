import { chooseScales, scaleCandidates, type ScaleCandidate } from '../awq/scale-search.js';
import type { Targets } from '../awq/targets.js';
import type { EncodedTensor } from '../checkpoint/encode.js';
import { linearsByTap } from '../model/linears.js';
import type { LayerPlan, Linear, SmoothingEdge, Tap } from '../model/plan.js';
import type { SharedSums } from './jobs.js';
import { combineExperts, dealExperts, type LayerRouting, type PassState } from './layer-pass.js';
import { followDenseLayer, quantizeDriftingExperts } from './drift-layer.js';
import type { QuantizeContext } from './quantize-context.js';
import { addEnergy, noEnergy, type LanguageEnergy } from './language-sample.js';
import type { CalibrationJobs, ExpertResult } from './quantize-jobs.js';
import { rewriteTensors } from './rewrite.js';
import { applyEdge, noSmoothing, usableEdges, type Smoothing } from './smoothing.js';

/** One edge's search. */
export interface EdgeReport {
  readonly edge: string;
  /** null: the identity was best. */
  readonly ratio: number | null;
  readonly lossBefore: number;
  readonly loss: number;
}

export interface LinearReport {
  readonly module: string;
  readonly relativeError: number;
}

export interface CellReport {
  readonly expert: number;
  readonly tokens: number;
  readonly ownShare: number;
  readonly downRatio: number | null;
  /** Relative output error of gate, up, down. */
  readonly relativeErrors: readonly number[];
}

export interface LayerReport {
  readonly layer: number;
  readonly edges: readonly EdgeReport[];
  readonly linears: readonly LinearReport[];
  readonly experts: readonly CellReport[];
  /** √(‖ΔX‖² / ‖WX‖²) over sampled tokens of each language, at the layer's Linears but the routed experts' downs. */
  readonly languageErrors: Readonly<Record<string, number>>;
}

export interface LayerResult {
  readonly tensors: readonly EncodedTensor[];
  readonly report: LayerReport;
}

/** Taps of a layer with experts whose Linears are quantized before them, and after them. */
const BEFORE_EXPERTS: ReadonlySet<Tap> = new Set(['mixer-input', 'mixer-output', 'latent-query', 'latent-key-value']);
export const BESIDE_EXPERTS: ReadonlySet<Tap> = new Set(['feed-forward-input', 'shared-down']);

/** Tokens that every expert of a layer sees for its layer-wide statistics, evenly spaced; see docs/results.md. */
export const FORCED_SAMPLE = 1024;

/** The statistics a layer's Linears are quantized with. */
export function wantedTaps(layer: LayerPlan, targets: Targets): Tap[] {
  const taps = [...linearsByTap(layer)]
    .filter(([, linears]) => linears.some(({ module }) => targets.quantized.has(module)))
    .map(([tap]) => tap);
  const { feedForward } = layer;
  const hasExperts = feedForward.kind === 'moe' && targets.quantized.has(feedForward.experts[0]!.down.module);
  return hasExperts && !taps.includes('feed-forward-input') ? [...taps, 'feed-forward-input'] : taps;
}

/**
 * Searches the scales of a layer's edges, runs its experts while quantizing their downs, then quantizes everything else.
 * All statistics are those of the unquantized model.
 */
export async function quantizeLayer(
  context: QuantizeContext,
  layer: LayerPlan,
  sums: readonly SharedSums[],
  routing: LayerRouting | null,
  follower: PassState | null = null,
): Promise<LayerResult> {
  const { targets, state } = context;
  const tokens = state.layout.tokens;
  const means = new Map(
    sums.map(({ tap, gram, absolute, sample, sampledTokens }) => [
      tap,
      { gram: scaled(gram, 1 / tokens), absolute: scaled(absolute, 1 / tokens), sample, sampledTokens },
    ]),
  );
  const smoothing = noSmoothing();
  const edges: EdgeReport[] = [];
  const usable = usableEdges(layer, targets).filter(({ tap }) => tap !== 'expert-down');
  const settle = (edge: SmoothingEdge, candidates: readonly ScaleCandidate[], losses: Float64Array): void => {
    const { scales, ratio, lossBefore, loss } = chooseScales(candidates, losses);
    edges.push({ edge: edge.name, ratio, lossBefore, loss });
    if (ratio !== null) applyEdge(smoothing, edge, scales);
  };

  const shared = usable.find(({ tap }) => tap === 'feed-forward-input') ?? null;
  const hasExperts = routing !== null;
  for (const edge of usable) {
    if (!hasExperts || edge !== shared) await searchEdge(context, layer, edge, means.get(edge.tap)!, settle);
  }
  if (follower !== null) {
    const blocks = hasExperts ? BEFORE_EXPERTS : null;
    const { linears, energy } = await quantizeShared(context, layer, means, smoothing, {
      taps: blocks,
      effective: true,
    });
    const overrides = linears.flatMap(({ effective }) => (effective === null ? [] : [effective]));
    const settled = { smoothing, edges, overrides, means, linears, energy };
    return hasExperts
      ? quantizeDriftingExperts(context, follower, layer, routing, settled)
      : followDenseLayer(context, follower, layer, settled);
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
  const all = [
    ...linears,
    ...experts.flatMap(({ expert, linears: down }) => [...(byExpert.get(expert) ?? []), ...down]),
  ];
  return {
    tensors: [...all.flatMap(({ tensors }) => tensors), ...rewriteTensors(context, layer, smoothing)],
    report: {
      layer: layer.index,
      languageErrors: relativeErrors(addEnergy(energy, gatesAndUps.energy), context.sample.languages),
      edges,
      linears: linears.map(({ module, relativeError }) => ({ module, relativeError })),
      experts: experts.map(({ expert, tokens: count, ownShare, downRatio, linears: down }) => ({
        expert,
        tokens: count,
        ownShare,
        downRatio,
        relativeErrors: [...(byExpert.get(expert) ?? []), ...down].map(({ relativeError }) => relativeError),
      })),
    },
  };
}

export interface Mean {
  readonly gram: Float32Array;
  readonly absolute: Float32Array;
  readonly sample: Float32Array;
  readonly sampledTokens: Int32Array;
}

type Settle = (edge: SmoothingEdge, candidates: readonly ScaleCandidate[], losses: Float64Array) => void;

async function searchEdge(
  context: QuantizeContext,
  layer: LayerPlan,
  edge: SmoothingEdge,
  mean: Mean,
  settle: Settle,
): Promise<void> {
  const readers = modulesOf(edge.readers, context.targets);
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

/**
 * Runs the experts on their tokens with their statistics taken, and searches the edge that gate and up of all of them
 * share, together with the shared expert's.
 */
async function searchExperts(
  context: QuantizeContext,
  layer: LayerPlan,
  edge: SmoothingEdge | null,
  mean: Mean | null,
  { assignments }: LayerRouting,
  settle: Settle,
): Promise<readonly ExpertResult[]> {
  const { lanes, plan, state, targets } = context;
  const { expertsInput, accumulators, routing } = state;
  if (expertsInput === null || routing === null)
    throw new Error(`layer ${layer.index} has experts, but the pass has no room for them`);
  const readers = edge === null ? [] : modulesOf(edge.readers, targets);
  const candidates = edge === null || mean === null ? [] : await edgeCandidates(context, layer, readers, mean);
  const parts = await Promise.all(
    dealExperts(assignments, lanes.count, FORCED_SAMPLE).map((experts, lane) =>
      lanes.call(lane, 'calibrateExperts', {
        layer: layer.index,
        experts,
        expertsInput,
        accumulator: accumulators[lane]!,
        routing,
        assignments,
        sample: evenSample(state.layout.tokens, FORCED_SAMPLE),
        layerGram: mean?.gram ?? new Float32Array(0),
        candidates,
      }),
    ),
  );
  await combineExperts(lanes, plan, state, layer.index);
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
  { lanes, state, sample }: QuantizeContext,
  layer: LayerPlan,
  edge: SmoothingEdge | null,
  layerGram: Float32Array,
  { assignments, moe }: LayerRouting,
  smoothing: Smoothing,
): Promise<CalibrationJobs['quantizeExperts']['result']> {
  const { expertsInput, routing } = state;
  const scales = edge === null ? null : (smoothing.inputs.get(moe.experts[0]!.gate.module) ?? null);
  const parts = await Promise.all(
    dealExperts(assignments, lanes.count, FORCED_SAMPLE).map((experts, lane) =>
      lanes.call(lane, 'quantizeExperts', {
        layer: layer.index,
        experts,
        expertsInput: expertsInput!,
        routing: routing!,
        assignments,
        layerGram,
        scales,
        sample,
      }),
    ),
  );
  return { experts: parts.flatMap(({ experts }) => experts), energy: sumEnergy(parts, sample.languages.length) };
}

/** Everything but the routed experts, tap by tap; taps go to lanes in turn. */
export async function quantizeShared(
  { lanes, targets, sample }: QuantizeContext,
  layer: LayerPlan,
  means: ReadonlyMap<Tap, Mean>,
  smoothing: Smoothing,
  { taps = null, effective = false }: { readonly taps?: ReadonlySet<Tap> | null; readonly effective?: boolean } = {},
): Promise<CalibrationJobs['quantizeLinears']['result']> {
  const languageOf = new Map(Array.from(sample.tokens, (token, i) => [token, sample.languageOf[i]!] as const));
  const jobs = [...linearsByTap(layer)]
    .map(([tap, linears]) => ({ tap, modules: modulesOf(linears, targets) }))
    .filter(({ tap, modules }) => modules.length > 0 && (taps === null || taps.has(tap)));
  const results = await Promise.all(
    jobs.map(({ tap, modules }, i) =>
      lanes.call(i % lanes.count, 'quantizeLinears', {
        layer: layer.index,
        modules,
        gram: means.get(tap)!.gram,
        sampled: {
          rows: means.get(tap)!.sample,
          languageOf: Uint16Array.from(means.get(tap)!.sampledTokens, (token) => languageOf.get(token)!),
        },
        languages: sample.languages.length,
        effective,
        inputScales: smoothing.inputs.get(modules[0]!) ?? null,
        outputScales: Object.fromEntries(
          modules.flatMap((module) =>
            smoothing.outputs.has(module) ? [[module, smoothing.outputs.get(module)!]] : [],
          ),
        ),
      }),
    ),
  );
  return { linears: results.flatMap(({ linears }) => linears), energy: sumEnergy(results, sample.languages.length) };
}

function sumEnergy(parts: readonly { readonly energy: LanguageEnergy }[], languages: number): LanguageEnergy {
  return parts.reduce((sum, { energy }) => addEnergy(sum, energy), noEnergy(languages));
}

export function relativeErrors(
  { signal, error }: LanguageEnergy,
  languages: readonly string[],
): Record<string, number> {
  return Object.fromEntries(
    languages.flatMap((language, i) => (signal[i]! > 0 ? [[language, Math.sqrt(error[i]! / signal[i]!)]] : [])),
  );
}

/** Each expert's up was divided in its lane; its bias, if any, is divided here. */
function recordDowns(layer: LayerPlan, downScales: ReadonlyMap<number, Float32Array>, smoothing: Smoothing): void {
  if (layer.feedForward.kind !== 'moe') return;
  for (const [expert, scales] of downScales)
    smoothing.outputs.set(layer.feedForward.experts[expert]!.up.module, scales);
}

function modulesOf(linears: readonly Linear[], targets: Targets): string[] {
  return linears.map(({ module }) => module).filter((module) => targets.quantized.has(module));
}

export function sumLosses(parts: readonly Float64Array[], candidates: number): Float64Array {
  const total = new Float64Array(candidates);
  for (const part of parts) part.forEach((loss, i) => (total[i]! += loss));
  return total;
}

function scaled(values: Float32Array, factor: number): Float32Array {
  for (let i = 0; i < values.length; i++) values[i]! *= factor;
  return values;
}

/** `count` of `total` positions, evenly spaced: a sample that depends on nothing but the number of tokens. */
export function evenSample(total: number, count: number): Int32Array {
  const size = Math.min(total, count);
  return Int32Array.from({ length: size }, (_, i) => Math.floor(((i + 0.5) * total) / size));
}

/** Modules in contiguous shares, one per lane, none empty. */
function shares<T>(items: readonly T[], hands: number): readonly (readonly T[])[] {
  const size = Math.ceil(items.length / hands);
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}
