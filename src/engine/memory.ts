import type { Targets } from '../awq/targets.js';
import { layerLinears, linearsByTap, mixerLinears } from '../model/linears.js';
import type { LayerPlan, ModelPlan } from '../model/plan.js';
import { DEFAULT_BATCH_LIMITS } from '../runtime/batches.js';
import { accumulatorNames } from './pass-state.js';
import { KEPT_GRAM_BYTES } from './search-limits.js';
import { dealtByChannels } from './stream-moments.js';
import { wantedTaps } from './wanted-taps.js';

/** Node, onnxruntime and the compiled code: of the process, and of each lane. Measured on idle ones. */
const PROCESS_BYTES = 150 * 2 ** 20;
const LANE_BYTES = 100 * 2 ** 20;
const F32 = 4;
/** What is used up and not collected yet, beside what an expert needs; measured on the layers of bench/real-layer.ts. */
const UNCOLLECTED = 1.5;
/** Values per hidden channel of what an expert's rows are run in: inputs, sums, outputs and gates of 1,024 rows. */
const PART_VALUES = 4 * 1024;

export interface MemoryInput {
  readonly tokens: number;
  readonly lanes: number;
  /** Streams of hidden states: two where calibration follows the quantized model. */
  readonly streams: number;
}

export interface MemoryEstimate {
  /** What a run needs however many tokens it has. */
  readonly workingBytes: number;
  /** One matrix [tokens, hidden]. */
  readonly storeBytes: number;
  /** Such matrices, all of which may be spilled. */
  readonly stores: number;
}

/** What a quantization holds at once, from shapes alone: the widest layer's working set on every lane, and the row stores. */
export function memoryEstimate(plan: ModelPlan, targets: Targets | null, input: MemoryInput): MemoryEstimate {
  const { tokens, lanes, streams } = input;
  const moe = plan.layers.some(({ feedForward }) => feedForward.kind === 'moe');
  const perLane = Math.max(
    ...plan.layers.map((layer) =>
      Math.max(
        blockBytes(plan, layer, targets, { tokens: tokens / lanes, follows: streams > 1 }),
        streams > 1 ? momentBytes(layer, lanes) : 0,
        targets === null ? 0 : expertBytes(plan, layer, input),
      ),
    ),
  );
  // Two streams keep what mixers put out where the experts' inputs go later: rows as wide as the wider of both.
  const widest = Math.max(plan.hiddenSize, ...plan.layers.map(({ mixer }) => mixer.output.inFeatures));
  const wider = streams > 1 ? streams * tokens * (widest - plan.hiddenSize) * F32 : 0;
  return {
    workingBytes: PROCESS_BYTES + lanes * (LANE_BYTES + perLane) + wider,
    storeBytes: tokens * plan.hiddenSize * F32,
    stores: moe ? 2 * streams + accumulatorNames(plan, lanes).length : streams,
  };
}

/** A lane that runs a layer's blocks: their weights, the Grams before and after a batch, the batch's activations. */
function blockBytes(
  plan: ModelPlan,
  layer: LayerPlan,
  targets: Targets | null,
  { tokens, follows }: { readonly tokens: number; readonly follows: boolean },
): number {
  const inExperts = new Set(layer.feedForward.kind === 'moe' ? layer.feedForward.experts.flatMap(Object.values) : []);
  const linears = layerLinears(layer).filter((linear) => !inExperts.has(linear));
  const weights = linears.reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures, 0);
  const taps = linearsByTap(layer);
  const grams =
    targets === null
      ? 0
      : wantedTaps(layer, targets, follows)
          .filter((tap) => !follows || (tap !== 'mixer-input' && tap !== 'mixer-output'))
          .reduce((sum, tap) => sum + (taps.get(tap)?.[0]?.inFeatures ?? plan.hiddenSize) ** 2, 0);
  const activations = Math.min(tokens, DEFAULT_BATCH_LIMITS.rows) * activationWidth(plan, layer);
  return F32 * (weights + 2 * grams + activations * (keepsActivations(plan) ? KEEPING_SESSIONS : 1));
}

/** Values per token of what a batch runs in, the mixer's and the stream's. */
function activationWidth({ hiddenSize }: ModelPlan, { mixer }: LayerPlan): number {
  return mixerLinears(mixer)
    .flat()
    .reduce((sum, { inFeatures, outFeatures }) => sum + Math.max(inFeatures, outFeatures), 3 * hiddenSize);
}

/** Sessions of a layer's blocks: halves and wholes, with taps and without. */
const KEEPING_SESSIONS = 4;
const KEPT_ACTIVATION_BYTES = 128 * 2 ** 20;

/** Whether a model's activations are small enough for each session to keep room for them; see `SessionOptions.arena`. */
export function keepsActivations(plan: ModelPlan): boolean {
  const width = Math.max(...plan.layers.map((layer) => activationWidth(plan, layer)));
  return F32 * DEFAULT_BATCH_LIMITS.rows * width <= KEPT_ACTIVATION_BYTES;
}

/** A lane's moments of two streams behind a mixer, and what the regression on them takes; lanes share large ones. */
function momentBytes({ mixer }: LayerPlan, lanes: number): number {
  const { inFeatures, outFeatures } = mixer.output;
  const bytes = 2 * F32 * (inFeatures ** 2 + inFeatures * outFeatures);
  return dealtByChannels(inFeatures) ? bytes / lanes : bytes;
}

/** A lane that quantizes an expert: Grams with their factor, the weights and their codes, inputs and outputs of its tokens. */
function expertBytes({ hiddenSize }: ModelPlan, { feedForward }: LayerPlan, input: MemoryInput): number {
  const { tokens, lanes, streams } = input;
  if (feedForward.kind !== 'moe') return 0;
  const { gate, up, down } = feedForward.experts[0]!;
  const weights = [gate, up, down].reduce((sum, { inFeatures, outFeatures }) => sum + inFeatures * outFeatures, 0);
  // The busiest expert seldom has more than four times its share.
  const routed = Math.min(tokens, (4 * tokens * feedForward.topK) / feedForward.experts.length);
  const grams = Math.ceil(feedForward.experts.length / lanes) * gate.inFeatures ** 2 * F32;
  const kept = grams <= KEPT_GRAM_BYTES ? grams : 0;
  // Following the drift, a lane keeps what an expert's down reads.
  const inner = streams > 1 ? F32 * routed * down.inFeatures : 0;
  const working = weights + inner + F32 * (5 * gate.inFeatures ** 2 + 2 * weights + PART_VALUES * hiddenSize);
  return kept + UNCOLLECTED * working;
}
