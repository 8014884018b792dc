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
  /** By channel, in the order of CHANNELS. */
  readonly channels: GroupCounts;
  /** One per grouping, in the caller's order. */
  readonly groups: readonly GroupCounts[];
  /** Cells × samples, one bit each, until the layer is complete; then null. */
  seen: Uint32Array | null;
  readonly samples: Float64Array;
  tokens: number;
  forced: Float64Array | null;
}

/** One grouping's part in a layer, all [groups × experts]. */
export interface GroupCounts {
  readonly routed: Uint32Array;
  /** As `LayerCounts.gateUnits`. */
  readonly gateUnits: Float64Array;
  /** Distinct samples; empty in channels, which a sample has several of. */
  readonly samples: Uint32Array;
}

export const GATE_UNIT = 2 ** -30;

export function createLayerCounts(
  { layer, experts, topK }: Pick<RoutingBatch, 'layer' | 'experts' | 'topK'>,
  groupSizes: readonly number[],
  samples: number,
): LayerCounts {
  const table = (groups: number, ofSamples: number): GroupCounts => ({
    routed: new Uint32Array(groups * experts),
    gateUnits: new Float64Array(groups * experts),
    samples: new Uint32Array(ofSamples * experts),
  });
  return {
    layer,
    experts,
    topK,
    routed: new Float64Array(experts),
    gateUnits: new Float64Array(experts),
    channels: table(CHANNELS.length, 0),
    groups: groupSizes.map((size) => table(size, size)),
    seen: new Uint32Array(experts * bitWords(samples)),
    samples: new Float64Array(experts),
    tokens: 0,
    forced: null,
  };
}

export function bitWords(samples: number): number {
  return (samples + 31) >>> 5;
}

/**
 * Turns the bits into distinct samples per cell and group, and lets them go.
 *
 * @param groupOfSample for each grouping, the group of every sample
 */
export function foldSamples(counts: LayerCounts, groupOfSample: readonly Int32Array[]): void {
  const { seen, samples, groups, experts } = counts;
  if (seen === null) return;
  const words = seen.length / experts;
  for (let e = 0; e < experts; e++) {
    let bits = 0;
    for (let w = 0; w < words; w++) {
      for (let word = seen[e * words + w]!; word !== 0; word &= word - 1) {
        const sample = w * 32 + 31 - Math.clz32(word & -word);
        bits++;
        for (let g = 0; g < groups.length; g++) groups[g]!.samples[groupOfSample[g]![sample]! * experts + e]! += 1;
      }
    }
    samples[e] = bits;
  }
  counts.seen = null;
}
