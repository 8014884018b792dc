import type { SparseCounts } from '../mix/balance-counts.js';
import type { Sequence } from '../mix/sequence.js';
import { describeCoverage } from './describe.js';
import type { Coverage, CoverageModel } from './coverage.js';
import type { Floors } from './floors.js';
import {
  bitWords,
  createLayerCounts,
  foldSamples,
  GATE_UNIT,
  type GroupCounts,
  type LayerCounts,
} from './layer-counts.js';
import { groupMix } from './mix-groups.js';
import type { RoutingBatch } from './routing.js';
import { createSparseRouting } from './sparse-routing.js';

export interface CoverageCounterOptions {
  /** The audited sequences; `RoutingBatch.sequenceOf` points into them. */
  readonly sequences: readonly Sequence[];
  /** Least routed tokens of every cell; in a dense model, least tokens of every language and channel. */
  readonly floor: number;
  /** Least tokens of a language or channel of the mix, least median length of its sequences. */
  readonly floors?: Floors;
  /** Keep every sequence's own counts too, for balanced selection and the routing cache. */
  readonly perSequence?: boolean;
}

export interface CoverageCounter {
  /** Counts a run of tokens of one layer; batches may come in any size and order, each token of a layer once. */
  add(batch: RoutingBatch): void;
  /** Notes tokens fed to the cells of a layer against the router's choice, [experts]; reported apart. */
  addForced(layer: number, tokens: ArrayLike<number>): void;
  /** @throws Error when a layer has not seen every token of every sequence. */
  finish(options: { readonly model: CoverageModel }): Coverage;
  /** Counts of every sequence, cells numbered layer by layer; only with `perSequence`, once, after the last batch. */
  sparseCounts(): SparseCounts;
}

/**
 * Counts what the router chose. Exact at any batch size and order: all sums are of whole numbers. Memory grows with
 * cells × (languages + categories + sources), and with cells × samples bits of the layer at hand, never with tokens.
 */
export function createCoverageCounter(options: CoverageCounterOptions): CoverageCounter {
  const { sequences } = options;
  const groups = groupMix(sequences);
  const { lengths, samples } = groups;
  const words = bitWords(samples.names.length);
  const tokens = lengths.reduce((sum, length) => sum + length, 0);
  const sparse = options.perSequence === true ? createSparseRouting(lengths) : null;
  const layers = new Map<number, LayerCounts>();
  let run = createRun(0);

  const countsOf = (batch: RoutingBatch): LayerCounts => {
    let counts = layers.get(batch.layer);
    if (counts === undefined) {
      counts = createLayerCounts(batch, groups.sizes, samples.names.length);
      layers.set(batch.layer, counts);
    }
    if (counts.experts !== batch.experts || counts.topK !== batch.topK) {
      throw new Error(`count layer ${batch.layer}: ${batch.experts} experts, top ${batch.topK}, differ from before`);
    }
    if (run.routed.length < batch.experts) run = createRun(batch.experts);
    return counts;
  };

  /** Adds the tokens [from, to) of a batch, all of one sequence. */
  const addRun = (counts: LayerCounts, batch: RoutingBatch, sequence: number, from: number, to: number): void => {
    const { experts } = counts;
    const touched = countTokens(batch, sequences[sequence]!.channels, run, counts.channels, from, to);
    const sample = samples.of[sequence]!;
    const [word, bit] = [sample >>> 5, 1 << (sample & 31)];
    const rows = groups.of.map((of) => of[sequence]! * experts);
    for (let i = 0; i < touched; i++) {
      const expert = run.touched[i]!;
      const [routed, units] = [run.routed[expert]!, run.gateUnits[expert]!];
      run.counts[i] = routed;
      run.routed[expert] = 0;
      run.gateUnits[expert] = 0;
      counts.routed[expert]! += routed;
      counts.gateUnits[expert]! += units;
      counts.seen![expert * words + word]! |= bit;
      for (let g = 0; g < rows.length; g++) {
        const table = counts.groups[g]!;
        table.routed[rows[g]! + expert]! += routed;
        table.gateUnits[rows[g]! + expert]! += units;
      }
    }
    sparse?.add(batch.layer, sequence, run.touched, run.counts, touched);
  };

  /** The layers in rising order. */
  const completeLayers = (): LayerCounts[] => {
    const rising = [...layers.values()].sort((a, b) => a.layer - b.layer);
    for (const counts of rising) {
      if (counts.tokens !== tokens) {
        throw new Error(`finish coverage: layer ${counts.layer} saw ${counts.tokens} of ${tokens} tokens`);
      }
      foldSamples(counts, groups.ofSample);
    }
    return rising;
  };

  return {
    add(batch) {
      const counts = countsOf(batch);
      const { sequenceOf } = batch;
      counts.tokens += sequenceOf.length;
      if (counts.tokens > tokens) {
        throw new Error(`count layer ${batch.layer}: ${counts.tokens} tokens seen of ${tokens}`);
      }
      for (let from = 0, to = 0; from < sequenceOf.length; from = to) {
        const sequence = sequenceOf[from]!;
        const length = lengths[sequence];
        if (length === undefined) throw new Error(`count layer ${batch.layer}: there is no sequence ${sequence}`);
        to = endOfRun(batch, length, from);
        addRun(counts, batch, sequence, from, to);
      }
      if (counts.tokens === tokens) foldSamples(counts, groups.ofSample);
    },
    addForced(layer, forced) {
      const counts = layers.get(layer);
      if (counts === undefined) throw new Error(`count forced tokens: layer ${layer} has no routing yet`);
      counts.forced ??= new Float64Array(counts.experts);
      for (let e = 0; e < counts.experts; e++) counts.forced[e]! += forced[e]!;
    },
    finish({ model }) {
      const { floor, floors = {} } = options;
      return describeCoverage({ model, groups, floor, floors, layers: completeLayers(), detail: 'tokens' });
    },
    sparseCounts() {
      if (sparse === null) throw new Error('sparse counts were not asked for: pass perSequence');
      const firstCell = new Map<number, number>();
      let cells = 0;
      for (const { layer, experts } of completeLayers()) {
        firstCell.set(layer, cells);
        cells += experts;
      }
      return sparse.finish(firstCell, cells);
    },
  };
}

/** Counts tokens [from, to) in a run and by channel; returns how many experts they reach. */
function countTokens(
  { layer, experts, topK, chosen, weights, positionOf }: RoutingBatch,
  channelOf: Uint8Array,
  { routed, gateUnits, touched }: Run,
  channels: GroupCounts,
  from: number,
  to: number,
): number {
  const { routed: routedByChannel, gateUnits: unitsByChannel } = channels;
  let reached = 0;
  for (let t = from, slot = from * topK; t < to; t++) {
    const channelRow = channelOf[positionOf[t]!]! * experts;
    for (const end = slot + topK; slot < end; slot++) {
      const expert = chosen[slot]!;
      if (!(expert >= 0 && expert < experts)) {
        throw new Error(`count layer ${layer}: expert ${expert} chosen of ${experts}`);
      }
      const units = Math.round(weights[slot]! / GATE_UNIT);
      const before = routed[expert]!;
      if (before === 0) touched[reached++] = expert;
      routed[expert] = before + 1;
      gateUnits[expert]! += units;
      routedByChannel[channelRow + expert]! += 1;
      unitsByChannel[channelRow + expert]! += units;
    }
  }
  return reached;
}

/** The first token from `from` on that is of another sequence. */
function endOfRun({ layer, sequenceOf, positionOf }: RoutingBatch, length: number, from: number): number {
  const sequence = sequenceOf[from]!;
  let to = from;
  for (; to < sequenceOf.length && sequenceOf[to] === sequence; to++) {
    const position = positionOf[to]!;
    if (position >= 0 && position < length) continue;
    throw new Error(`count layer ${layer}: position ${position} in a sequence of ${length} tokens`);
  }
  return to;
}

/** Scratch for one sequence's stretch of a batch. */
interface Run {
  readonly routed: Uint32Array;
  readonly gateUnits: Float64Array;
  readonly touched: Int32Array;
  readonly counts: Uint32Array;
}

function createRun(experts: number): Run {
  return {
    routed: new Uint32Array(experts),
    gateUnits: new Float64Array(experts),
    touched: new Int32Array(experts),
    counts: new Uint32Array(experts),
  };
}
