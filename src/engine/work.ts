import { CLIPPING_RANGES } from '../awq/group-parameters.js';
import type { Targets } from '../awq/targets.js';
import { rowsPerLinear } from '../awq/scale-candidates.js';
import { layerLinears, linearsByTap, mixerReaders } from '../model/linears.js';
import type { LayerPlan, Linear, MixerPlan, MoePlan, Tap } from '../model/plan.js';
import type { QuantizeSettings } from './quantize-settings.js';
import { DOWN_SEARCH_ROWS, GRAM_SEARCH_WIDTH, SKETCH_ROWS } from './search-limits.js';
import { gramStride, momentStride } from './gram-stride.js';
import { FORCED_SAMPLE } from './forced-sample.js';
import { wantedTaps } from './wanted-taps.js';

/** Floating-point operations of one layer, by part of the method. */
export type LayerWork = Readonly<Record<WorkPart, number>>;
export type WorkPart = (typeof WORK_PARTS)[number];
export const WORK_PARTS = [
  /** Every Linear but the routed experts', on every token, and attention's own products. */
  'blocks',
  /** Routed experts on their routed tokens. */
  'experts',
  /** Gate and up of every expert on the sample that all experts see. */
  'forced',
  /** XᵀX of the layer's taps, and of each expert's inputs and inner activations. */
  'grams',
  'search',
  'factorization',
  'clipping',
  'feedback',
  'descent',
  /** Following the quantized model's own inputs: its stream, the regressions on it, the targets they give. */
  'drift',
] as const;

const CLIP_BLOCK = 128;

export interface WorkInput {
  readonly tokens: number;
  /** Tokens of the longest sequence: what attention's own products grow with. */
  readonly sequenceLength: number;
}

/**
 * Multiplications and additions that the method itself asks for in one layer, from shapes alone: a product [m, k] × [k, n]
 * is 2mnk, and what is symmetric or triangular is counted once (XᵀX of n tokens is n·in², error feedback and causal
 * attention half of the full product). Measuring, packing and everything elementwise is left out.
 */
export function layerWork(
  layer: LayerPlan,
  targets: Targets,
  settings: QuantizeSettings,
  { tokens, sequenceLength }: WorkInput,
): LayerWork {
  const { feedForward } = layer;
  const moe = feedForward.kind === 'moe' ? feedForward : null;
  const inExperts = new Set(moe === null ? [] : moe.experts.flatMap(({ gate, up, down }) => [gate, up, down]));
  const shared = layerLinears(layer).filter((linear) => !inExperts.has(linear));
  const routed = tokens * (moe?.topK ?? 0);
  const expert = moe?.experts[0];
  const hasExperts = expert !== undefined && targets.quantized.has(expert.down.module);
  const forced = hasExperts && settings.shrinkage > 0 ? Math.min(tokens, FORCED_SAMPLE) * moe!.experts.length : 0;
  const taps = linearsByTap(layer);
  const follows = settings.followDrift;
  const widthOf = (tap: Tap): number => taps.get(tap)?.[0]?.inFeatures ?? expert!.gate.inFeatures;
  const wanted = wantedTaps(layer, targets, follows);
  // Following the drift, what these two read is counted with both streams' moments.
  const tapWidths = wanted.filter((tap) => !follows || (tap !== 'mixer-input' && tap !== 'mixer-output')).map(widthOf);
  const edged = layer.edges.filter(
    ({ readers, tap }) =>
      readers.some(({ module }) => targets.quantized.has(module)) && !(follows && tap === 'expert-down'),
  );
  const quantized = layerLinears(layer).filter(({ module }) => targets.quantized.has(module));
  const factored = [...wanted.map(widthOf), ...(hasExperts ? moe!.experts.flatMap(factoredWidths) : [])];
  const gptq = settings.rounding.rounding === 'gptq';
  const sweeps = gptq
    ? settings.rounding.refit
      ? Math.max(1, settings.rounding.descentSweeps)
      : settings.rounding.descentSweeps
    : 0;
  const clips = settings.rounding.clip ? CLIPPING_RANGES[settings.scheme.symmetric ? 'symmetric' : 'asymmetric'] : 0;
  const layerStride = gramStride(settings.rounding, tokens, Math.max(0, ...tapWidths));
  const expertStride = hasExperts
    ? gramStride(
        settings.rounding,
        routed / moe!.experts.length,
        Math.max(expert.gate.inFeatures, expert.down.inFeatures),
      )
    : 1;
  const blocks = 2 * tokens * sum(shared, size) + tokens * attentionWork(layer.mixer, sequenceLength);
  return {
    blocks,
    experts: expert === undefined ? 0 : 2 * routed * (size(expert.gate) + size(expert.up) + size(expert.down)),
    forced: expert === undefined ? 0 : 2 * forced * (size(expert.gate) + size(expert.up)),
    grams:
      (tokens / layerStride) * sum(tapWidths, square) +
      (hasExperts
        ? (routed / expertStride) * square(expert.gate.inFeatures) +
          (routed / expertStride + forced) * square(expert.down.inFeatures)
        : 0),
    search:
      settings.search.grid * sum(edged, ({ readers, tap }) => sum(readers, searchWork(readers.length, tap, settings))),
    factorization: gptq ? sum(factored, (width) => width ** 3 / 3) : 0,
    clipping: clips * 2 * CLIP_BLOCK * sum(quantized, size),
    feedback: gptq ? sum(quantized, (linear) => size(linear) * linear.inFeatures) : 0,
    descent: sweeps * sum(quantized, (linear) => 2 * size(linear) * (linear.inFeatures + CLIP_BLOCK)),
    drift: follows ? blocks + mixerDriftWork(layer, tokens) + (hasExperts ? expertDriftWork(moe!, tokens) : 0) : 0,
  };
}

/**
 * Moments of both streams at a mixer's input and output, the residual streams' with the latter, and the two regressions
 * with the targets they give.
 */
function mixerDriftWork({ mixer }: LayerPlan, tokens: number): number {
  const { output } = mixer;
  const readers = mixerReaders(mixer);
  const width = readers[0]!.inFeatures;
  const inner = output.inFeatures;
  const [before, behind] = [width, inner].map((features) => tokens / momentStride(tokens, features)) as [
    number,
    number,
  ];
  const moments = before * 3 * square(width) + behind * (3 * square(inner) + 2 * size(output));
  const inward = regressionWork(width, width) + 2 * width * sum(readers, size);
  return moments + inward + regressionWork(inner, output.outFeatures) + 2 * inner * size(output);
}

/** The follower's experts, moments of both streams at their inputs, the regression, and gate's and up's targets. */
function expertDriftWork({ experts, topK }: MoePlan, tokens: number): number {
  const { gate, up, down } = experts[0]!;
  const forward = 2 * tokens * topK * (size(gate) + size(up) + size(down));
  const width = gate.inFeatures;
  const targets = experts.length * 2 * width * (size(gate) + size(up));
  const moments = (tokens / momentStride(tokens, width)) * 3 * square(width);
  return forward + moments + regressionWork(width, width) + targets;
}

/** A factorization and two triangular solves for some rows. */
function regressionWork(width: number, rows: number): number {
  return width ** 3 / 3 + 2 * rows * square(width);
}

/** Operations that rounding asks for on some rows of a Linear, of a layer with these settings. */
export function roundingWork(rows: number, inFeatures: number, { rounding, scheme }: QuantizeSettings): number {
  const gptq = rounding.rounding === 'gptq';
  const sweeps = gptq ? Math.max(rounding.refit ? 1 : 0, rounding.descentSweeps) : 0;
  const clips = rounding.clip ? CLIPPING_RANGES[scheme.symmetric ? 'symmetric' : 'asymmetric'] : 0;
  const block = 2 * CLIP_BLOCK;
  return rows * inFeatures * (clips * block + (gptq ? inFeatures : 0) + sweeps * (2 * inFeatures + block));
}

/**
 * What quantizing one expert takes besides what its tokens take, in tokens: rounding costs the same whoever is routed
 * there. For experts of 768 × 2048 it is some six thousand by default.
 */
export function expertOverhead({ experts }: MoePlan, settings: QuantizeSettings): number {
  const { gate, up, down } = experts[0]!;
  const [inner, width] = [square(down.inFeatures), square(gate.inFeatures)];
  const perToken = 2 * (size(gate) + size(up) + size(down)) + 2 * (width + inner);
  const rounding = sum([gate, up, down], (linear) => roundingWork(linear.outFeatures, linear.inFeatures, settings));
  const factors = settings.rounding.rounding === 'gptq' ? sum(factoredWidths({ gate, down }), (n) => n ** 3 / 3) : 0;
  const targets = settings.followDrift ? 2 * gate.inFeatures * (size(gate) + size(up)) : 0;
  const forced = settings.shrinkage > 0 ? FORCED_SAMPLE * 2 * (size(gate) + size(up) + inner) : 0;
  return (rounding + factors + targets + forced) / perToken;
}

/** All parts together. */
export function totalWork(work: LayerWork): number {
  return sum(WORK_PARTS, (part) => work[part]);
}

function searchWork(readers: number, tap: string, { search }: QuantizeSettings): (linear: Linear) => number {
  return (linear) => {
    const { outFeatures, inFeatures } = linear;
    const isExpert = tap === 'feed-forward-input' && readers > 8;
    const rows =
      tap === 'expert-down'
        ? Math.min(outFeatures, DOWN_SEARCH_ROWS)
        : rowsPerLinear(outFeatures, readers, search.rowBudget);
    return 2 * rows * inFeatures * (isExpert && inFeatures > GRAM_SEARCH_WIDTH ? 2 * SKETCH_ROWS : inFeatures);
  };
}

/** Operations per token on scores: q·kᵀ and its product with v, each over the half that a causal mask leaves. */
export function attentionWork(mixer: MixerPlan, length: number): number {
  switch (mixer.kind) {
    case 'attention':
      return length * mixer.heads * 2 * mixer.headDim;
    case 'latent-attention':
      return length * mixer.heads * (mixer.plainDim + mixer.rope.rotaryDim + mixer.valueDim);
    case 'gated-delta':
      return 4 * mixer.valueHeads * mixer.keyDim * mixer.valueDim;
    case 'short-convolution':
      return 0;
  }
}

function factoredWidths({ gate, down }: { readonly gate: Linear; readonly down: Linear }): number[] {
  return [gate.inFeatures, down.inFeatures];
}

function size({ outFeatures, inFeatures }: Linear): number {
  return outFeatures * inFeatures;
}

function square(value: number): number {
  return value * value;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}
