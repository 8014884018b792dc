import { prepareGram, quantizeWeight } from '../awq/quantize-weight.js';
import { scaleCandidates } from '../awq/scale-candidates.js';
import { scaleLosses } from '../awq/scale-search.js';
import { InputError } from '../errors.js';
import { layerLinears, linearsByTap } from '../model/linears.js';
import type { LayerPlan, Linear } from '../model/plan.js';
import { loadExpert } from '../runtime/expert-runner.js';
import { loadLayer } from '../runtime/layer-runner.js';
import { gemm } from '../runtime/matrix.js';
import { createRowStore, openRowStore } from '../runtime/row-store.js';
import { readLinear } from '../runtime/weights.js';
import type { Handled } from '../runtime/workers.js';
import { schemeOf, type QuantizeLane } from './quantize-lane.js';
import { wantedTaps } from './wanted-taps.js';
import { DOWN_SEARCH_ROWS } from './search-limits.js';
import { attentionWork, roundingWork } from './work.js';

/** What a lane measures of a layer: operations and the seconds they took. */
export interface ProbeMeasurement {
  /** A batch through the layer's blocks, statistics included. */
  readonly blocks: Measured;
  /** One expert on many tokens, statistics included; null for a dense layer. */
  readonly expert: Measured | null;
  /** Seconds per expert that do not depend on its tokens: reading its weights, a graph's start. */
  readonly expertSeconds: number;
  readonly search: Measured;
  readonly factorization: Measured;
  /** Clipping, error feedback and descent. */
  readonly rounding: Measured;
}

export interface Measured {
  readonly operations: number;
  readonly seconds: number;
}

export interface ProbeJob {
  readonly layer: number;
  readonly sequenceLength: number;
}

/** Tokens of the batch, and of the expert: enough for products to run at full rate. */
const BATCH_TOKENS = 1024;
const EXPERT_TOKENS = 1024;
/** Operations spent on rounding one Linear: 0.1 s or so. */
const ROUNDING_OPERATIONS = 8e9;
const FEWEST_ROWS = 64;

/** Does a little of everything that quantizing a layer takes, on its own weights and made-up inputs. */
export async function probe(lane: QuantizeLane, job: ProbeJob): Promise<Handled> {
  const layer = lane.model.plan.layers[job.layer]!;
  const { wide, narrow } = probedLinears(lane, layer);
  const grams = new Map<number, Float32Array>();
  for (const { inFeatures } of [wide, narrow]) {
    if (!grams.has(inFeatures)) grams.set(inFeatures, await madeUpGram(inFeatures));
  }
  const result: ProbeMeasurement = {
    blocks: await probeBlocks(lane, layer, job.sequenceLength),
    ...(await probeExpert(lane, layer)),
    search: await probeSearch(lane, narrow, grams.get(narrow.inFeatures)!),
    ...(await probeRounding(lane, [wide, narrow], grams)),
  };
  return { result };
}

/** The Linears that most of a layer consists of: an expert's gate and down, or the dense block's. */
function probedLinears(lane: QuantizeLane, layer: LayerPlan): { readonly wide: Linear; readonly narrow: Linear } {
  const all = layerLinears(layer).filter(({ module }) => lane.targets.quantized.has(module));
  const { feedForward } = layer;
  const own = feedForward.kind === 'moe' ? feedForward.experts[0]! : null;
  const inExperts = own !== null && all.includes(own.gate) && all.includes(own.down);
  const narrow = inExperts ? own.down : all.at(-1);
  if (narrow === undefined) throw new InputError(`probe layer ${layer.index}: nothing of it would be quantized`);
  return { wide: (inExperts ? own.gate : all.at(-2)) ?? narrow, narrow };
}

async function probeBlocks(lane: QuantizeLane, layer: LayerPlan, sequenceLength: number): Promise<Measured> {
  const { plan, reader } = lane.model;
  const taps = wantedTaps(layer, lane.targets);
  const loaded = loadLayer(plan, layer, reader, lane.model, { taps: new Set(taps) });
  const length = Math.min(sequenceLength, BATCH_TOKENS);
  const count = Math.max(1, Math.floor(BATCH_TOKENS / length));
  const hidden = openRowStore(createRowStore(length * count, plan.hiddenSize, null));
  hidden.write(0, noise(length * count * plan.hiddenSize, 1));
  const sequences = Array.from({ length: count }, (_, i) => ({ row: i * length, length }));
  const short = Math.min(8, length);
  await loaded.run({ sequences: [{ row: 0, length: short }], length: short }, hidden);
  const seconds = await timed(() => loaded.run({ sequences, length }, hidden));
  const experts = layer.feedForward.kind === 'moe' ? new Set(layer.feedForward.experts.flatMap(Object.values)) : null;
  const weights = layerLinears(layer).reduce(
    (sum, linear) => sum + (experts?.has(linear) === true ? 0 : linear.inFeatures * linear.outFeatures),
    0,
  );
  const byTap = linearsByTap(layer);
  const statistics = taps.reduce((sum, tap) => sum + (byTap.get(tap)?.[0]?.inFeatures ?? plan.hiddenSize) ** 2, 0);
  return { operations: length * count * (2 * weights + attentionWork(layer.mixer, length) + statistics), seconds };
}

async function probeExpert(
  lane: QuantizeLane,
  { feedForward }: LayerPlan,
): Promise<Pick<ProbeMeasurement, 'expert' | 'expertSeconds'>> {
  if (feedForward.kind !== 'moe') return { expert: null, expertSeconds: 0 };
  const { plan, reader } = lane.model;
  const { gate, up, down } = feedForward.experts[0]!;
  const statistics = { input: true, inner: true };
  const x = noise(EXPERT_TOKENS * plan.hiddenSize, 2);
  const room = (name: string, width: number): Float32Array => lane.model.scratch.floats(`probe.${name}`, width ** 2);
  const run = async (expert: number, tokens: number): Promise<void> => {
    const rows = {
      routing: new Float32Array(tokens).fill(0.5),
      read: (from: number, count: number, target: Float32Array) =>
        target.set(x.subarray(from * plan.hiddenSize, (from + count) * plan.hiddenSize)),
    };
    await loadExpert(feedForward, expert, reader, lane.model).run(rows, statistics, {
      grams: { input: room('input', gate.inFeatures), inner: room('inner', down.inFeatures) },
      sum: { read: (_from, _count, target) => target.fill(0), write: () => undefined },
    });
  };
  await run(0, 1);
  const expertSeconds = await timed(() => run(feedForward.experts.length - 1, 1));
  const seconds = await timed(() => run(feedForward.experts.length - 1, EXPERT_TOKENS));
  const weights = [gate, up, down].reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures, 0);
  const operations = EXPERT_TOKENS * (2 * weights + gate.inFeatures ** 2 + down.inFeatures ** 2);
  return { expert: { operations, seconds: Math.max(seconds - expertSeconds, seconds / 10) }, expertSeconds };
}

async function probeSearch(lane: QuantizeLane, linear: Linear, gram: Float32Array): Promise<Measured> {
  const { search, scaleDtype } = lane.settings;
  const { inFeatures, outFeatures } = linear;
  const weight = readLinear(lane.model.reader, linear);
  const level = new Float32Array(inFeatures).fill(1);
  const candidates = scaleCandidates(level, level, search);
  const rows = Math.min(outFeatures, DOWN_SEARCH_ROWS);
  const searched = {
    weight,
    outFeatures,
    inFeatures,
    statistics: { kind: 'gram', gram } as const,
    lossWeight: 1,
    rows,
  };
  const some = candidates.slice(0, Math.max(2, Math.floor(ROUNDING_OPERATIONS / (2 * rows * inFeatures ** 2))));
  const seconds = await timed(() => scaleLosses(some, searched, schemeOf(lane, linear), search, scaleDtype));
  return { operations: some.length * 2 * rows * inFeatures ** 2, seconds };
}

async function probeRounding(
  lane: QuantizeLane,
  linears: readonly Linear[],
  grams: ReadonlyMap<number, Float32Array>,
): Promise<Pick<ProbeMeasurement, 'factorization' | 'rounding'>> {
  const { settings } = lane;
  const factorization = { operations: 0, seconds: 0 };
  const rounding = { operations: 0, seconds: 0 };
  for (const linear of linears) {
    const { inFeatures } = linear;
    const weight = readLinear(lane.model.reader, linear);
    const gram = grams.get(inFeatures)!;
    const prepare = () =>
      prepareGram(gram, inFeatures, settings.rounding, (size) => lane.model.scratch.floats('probe.factor', size));
    const prepared = await prepare();
    factorization.seconds += await timed(prepare);
    factorization.operations += inFeatures ** 3 / 3;
    const fitting = Math.floor(ROUNDING_OPERATIONS / roundingWork(1, inFeatures, settings));
    const rows = Math.min(linear.outFeatures, Math.max(FEWEST_ROWS, fitting));
    const job = {
      weight: weight.subarray(0, rows * inFeatures),
      outFeatures: rows,
      inFeatures,
      prepared,
      scheme: schemeOf(lane, linear),
      settings: settings.rounding,
      scaleDtype: settings.scaleDtype,
    };
    rounding.seconds += await timed(() => quantizeWeight(job));
    rounding.operations += roundingWork(rows, inFeatures, settings);
  }
  return { factorization, rounding };
}

/** Mean xxᵀ of made-up inputs with a few loud channels. */
async function madeUpGram(width: number): Promise<Float32Array> {
  const rows = 64;
  const x = noise(rows * width, 3);
  for (let i = 0; i < x.length; i += 97) x[i]! *= 4;
  const gram = await gemm(x, x, { m: width, n: width, k: rows }, { transA: true, alpha: 1 / rows });
  for (let i = 0; i < width; i++) gram[i * (width + 1)]! += 0.1;
  return gram;
}

/** Uniform in [−1, 1). */
function noise(size: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** A first run this long is what it is; a shorter one is mostly compiling and filling caches, and is repeated. */
const LONG_SECONDS = 0.5;
/** Repetitions end when they add up to this, or at this number. */
const ENOUGH_SECONDS = 0.2;
const MOST_RUNS = 32;

/** Seconds of one run, warm. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const once = async (): Promise<number> => {
    const start = performance.now();
    await work();
    return (performance.now() - start) / 1000;
  };
  const first = await once();
  if (first > LONG_SECONDS) return first;
  let total = 0;
  let runs = 0;
  while (total < ENOUGH_SECONDS && runs < MOST_RUNS) {
    total += await once();
    runs++;
  }
  return total / runs;
}
