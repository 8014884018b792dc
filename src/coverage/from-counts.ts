import type { SparseCounts } from '../mix/balance-counts.js';
import type { Sequence } from '../mix/sequence.js';
import type { Coverage, CoverageModel } from './coverage.js';
import { describeCoverage } from './describe.js';
import type { Floors } from './floors.js';
import { bitWords, createLayerCounts, foldSamples, type LayerCounts } from './layer-counts.js';
import { groupMix, type MixGroups } from './mix-groups.js';

/** A layer with experts; cells are numbered through all of them, in their order. */
export interface LayerShape {
  readonly layer: number;
  readonly experts: number;
  readonly topK: number;
}

export interface CountedSequences {
  readonly model: CoverageModel;
  readonly sequences: readonly Sequence[];
  /** One row per sequence. */
  readonly counts: SparseCounts;
  readonly layers: readonly LayerShape[];
  readonly floor: number;
  readonly floors?: Floors;
}

/** Coverage of sequences that were counted before, without running the model: all but gate mass and routing by channel. */
export function coverageOfCounts({ model, sequences, counts, layers, floor, floors = {} }: CountedSequences): Coverage {
  const groups = groupMix(sequences);
  const counted = layerCountsOf(groups, counts, layers);
  return describeCoverage({ model, groups, floor, floors, layers: counted, detail: 'sequences' });
}

/** @throws Error when rows or cells are of another mix or model */
export function layerCountsOf(groups: MixGroups, counts: SparseCounts, shapes: readonly LayerShape[]): LayerCounts[] {
  const cells = shapes.reduce((sum, { experts }) => sum + experts, 0);
  if (counts.sequences !== groups.sequences.length || counts.cellCount !== cells) {
    throw new Error(
      `describe counts: wanted ${groups.sequences.length} sequences × ${cells} cells, got ${counts.sequences} × ${counts.cellCount}`,
    );
  }
  const samples = groups.samples.names.length;
  const words = bitWords(samples);
  const layers = shapes.map((shape) => createLayerCounts(shape, groups.sizes, samples));
  const ends: number[] = [];
  let end = 0;
  for (const { experts } of shapes) ends.push((end += experts));
  for (let s = 0; s < counts.sequences; s++) {
    const sample = groups.samples.of[s]!;
    let l = 0;
    for (let j = counts.offsets[s]!; j < counts.offsets[s + 1]!; j++) {
      const cell = counts.cells[j]!;
      while (cell >= ends[l]!) l++;
      const [layer, expert, routed] = [layers[l]!, cell - (ends[l]! - shapes[l]!.experts), counts.counts[j]!];
      layer.routed[expert]! += routed;
      layer.seen![expert * words + (sample >>> 5)]! |= 1 << (sample & 31);
      for (let g = 0; g < layer.groups.length; g++) {
        layer.groups[g]!.routed[groups.of[g]![s]! * layer.experts + expert]! += routed;
      }
    }
  }
  for (const layer of layers) foldSamples(layer, groups.ofSample);
  return layers;
}
