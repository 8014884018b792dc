import type { LayerPlan, Tap } from '../model/plan.js';
import type { SettledBlocks } from './drift-layer.js';
import type { LinearTarget } from './quantize-jobs.js';
import { addEnergy } from './language-sample.js';
import { runLayerBlocks } from './layer-pass.js';
import { mixerRowsOf, type PassState } from './pass-state.js';
import type { QuantizeContext } from './quantize-context.js';
import { wantedTaps } from './wanted-taps.js';
import { MIXER_TAPS, quantizeShared } from './quantize-shared.js';
import { meansOf, searchEdge, type Mean } from './search-edge.js';
import { meanOf, momentsOf } from './stream-moments.js';
import { noSmoothing, settleInto, usableEdges } from './smoothing.js';

/** Taps within a mixer: their Linears are quantized on the unquantized stream's inputs. */
const INNER_TAPS: ReadonlySet<Tap> = new Set(['latent-query', 'latent-key-value']);

/**
 * Quantizes a mixer for the inputs it will get: what reads the input norm towards what it did on x, the output Linear so
 * that it also repays what the stream and the mixer's inner values lack. Leaves both streams' mixer rows behind.
 */
export async function quantizeDriftingMixer(
  context: QuantizeContext,
  follower: PassState,
  layer: LayerPlan,
): Promise<SettledBlocks> {
  const { lanes, state, targets, sample } = context;
  const { index } = layer;
  const [own, followed] = [mixerRowsOf(state, layer), mixerRowsOf(follower, layer)];
  const wanted = wantedTaps(layer, targets, true).filter((tap) => INNER_TAPS.has(tap));
  const sums = await runLayerBlocks(lanes, state, index, wanted, {
    sample: sample.tokens,
    half: 'mixer',
    mixerRows: own,
  });
  const means = new Map<Tap, Mean>(meansOf(sums, state.layout.tokens));
  const smoothing = noSmoothing();
  const edges: SettledBlocks['edges'] = [];
  const settle = settleInto(smoothing, edges);
  const input = await mixerInput(context, follower, index);
  means.set('mixer-input', input.mean);
  const usable = usableEdges(layer, targets).filter(({ tap }) => MIXER_TAPS.has(tap));
  // Scales of the output Linear divide rows of what comes before it, which is quantized before the follower runs.
  if (usable.some(({ tap }) => tap === 'mixer-output')) {
    means.set('mixer-output', await meanOf(context, own, null));
  }
  for (const edge of usable) await searchEdge(context, layer, edge, means.get(edge.tap)!, settle);
  const inward = await quantizeShared(context, layer, means, smoothing, {
    taps: new Set<Tap>(['mixer-input', ...INNER_TAPS]),
    effective: true,
    towards: new Map<Tap, LinearTarget>([['mixer-input', await input.target()]]),
  });
  const overrides = inward.linears.flatMap(({ effective }) => (effective === null ? [] : [effective]));
  await runLayerBlocks(lanes, follower, index, [], { overrides, half: 'mixer', mixerRows: followed });
  const behind = await momentsOf(context, {
    own,
    followed,
    normedBy: null,
    streams: { own: state.hidden, followed: follower.hidden },
  });
  means.set('mixer-output', behind.mean);
  // Behind a norm of its own, what the mixer puts out is not what the stream gets.
  const owed = layer.mixerOutputNorm === null ? behind.owed : null;
  if (owed !== null && layer.residualScale !== 1) divide(owed, layer.residualScale);
  const outward = await quantizeShared(context, layer, means, smoothing, {
    taps: new Set<Tap>(['mixer-output']),
    effective: true,
    towards: new Map<Tap, LinearTarget>([
      ['mixer-output', { kind: 'owed', cross: behind.cross, owed, tokens: state.layout.tokens }],
    ]),
  });
  return {
    smoothing,
    edges,
    linears: [...inward.linears, ...outward.linears],
    energy: addEnergy(inward.energy, outward.energy),
    overrides: [...overrides, ...outward.linears.flatMap(({ effective }) => (effective === null ? [] : [effective]))],
  };
}

function divide(values: Float32Array, divisor: number): void {
  for (let i = 0; i < values.length; i++) values[i]! /= divisor;
}

interface MixerInput {
  readonly mean: Mean;
  readonly target: () => Promise<LinearTarget>;
}

/** What the input norm's readers see, and what they are quantized towards. Behind the embeddings both streams are one. */
async function mixerInput(context: QuantizeContext, follower: PassState, index: number): Promise<MixerInput> {
  const { lanes, state } = context;
  if (index === 0) {
    const mean = await meanOf(context, follower.hidden, index);
    return { mean, target: () => Promise.resolve({ kind: 'stored' }) };
  }
  const { mean, cross } = await momentsOf(context, {
    own: state.hidden,
    followed: follower.hidden,
    normedBy: index,
    streams: null,
  });
  const { tokens } = state.layout;
  const target = async (): Promise<LinearTarget> => ({
    kind: 'drift',
    drift: await lanes.call(0, 'drift', { gram: mean.gram, cross, tokens }),
  });
  return { mean, target };
}
