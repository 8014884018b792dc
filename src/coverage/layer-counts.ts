import { CHANNELS } from '../mix/sequence.js';
import type { RoutingBatch } from './routing.js';

/** Everything one layer's counting writes to; [groups × experts] where a grouping is involved. */
export interface LayerCounts {
  readonly layer: number;
  readonly experts: number;
  readonly topK: number;
  readonly routed: Float64Array;
  /** Σ of routing weights in units of 2^-30: sums of whole numbers do not depend on their order. */
  readonly gateUnits: Float64Array;
  readonly channels: Uint32Array;
  /** One per grouping, in the caller's order. */
  readonly groups: readonly Uint32Array[];
  /** Cells × samples, one bit each, until the layer is complete; then null. */
  seen: Uint32Array | null;
  readonly samples: Float64Array;
  tokens: number;
  forced: Float64Array | null;
}

export const GATE_UNIT = 2 ** -30;

export function createLayerCounts(
  { layer, experts, topK }: Pick<RoutingBatch, 'layer' | 'experts' | 'topK'>,
  groupSizes: readonly number[],
  samples: number,
): LayerCounts {
  return {
    layer,
    experts,
    topK,
    routed: new Float64Array(experts),
    gateUnits: new Float64Array(experts),
    channels: new Uint32Array(CHANNELS.length * experts),
    groups: groupSizes.map((size) => new Uint32Array(size * experts)),
    seen: new Uint32Array(experts * bitWords(samples)),
    samples: new Float64Array(experts),
    tokens: 0,
    forced: null,
  };
}

export function bitWords(samples: number): number {
  return (samples + 31) >>> 5;
}

/** Turns the bits into distinct samples per cell and lets them go. */
export function foldSamples(counts: LayerCounts): void {
  const { seen, samples, experts } = counts;
  if (seen === null) return;
  const words = seen.length / experts;
  for (let e = 0; e < experts; e++) {
    let bits = 0;
    for (let w = e * words; w < (e + 1) * words; w++) bits += popCount(seen[w]!);
    samples[e] = bits;
  }
  counts.seen = null;
}

function popCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24;
}
