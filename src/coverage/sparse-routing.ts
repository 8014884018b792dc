import { allocateSparse, type SparseCounts } from '../mix/balance-counts.js';

/** Collects each sequence's routed tokens per cell while the layers go by. */
export interface SparseRouting {
  /** @param experts, counts the first `entries` of each are read */
  add(layer: number, sequence: number, experts: Int32Array, counts: Uint32Array, entries: number): void;
  /** @param firstCell layer → number of its first cell */
  finish(firstCell: ReadonlyMap<number, number>, cellCount: number): SparseCounts;
}

/** Entries of one layer: runs of (sequence, number of entries), and the entries themselves. */
interface LayerEntries {
  readonly runs: GrowingUint32;
  readonly experts: GrowingUint32;
  readonly counts: GrowingUint32;
}

/** @param lengths tokens of every sequence: no cell can get more of one */
export function createSparseRouting(lengths: Int32Array): SparseRouting {
  const sequences = lengths.length;
  const layers = new Map<number, LayerEntries>();
  return {
    add(layer, sequence, experts, counts, entries) {
      let kept = layers.get(layer);
      if (kept === undefined) {
        kept = { runs: new GrowingUint32(), experts: new GrowingUint32(), counts: new GrowingUint32() };
        layers.set(layer, kept);
      }
      kept.runs.push(sequence);
      kept.runs.push(entries);
      for (let i = 0; i < entries; i++) {
        kept.experts.push(experts[i]!);
        kept.counts.push(counts[i]!);
      }
    },
    finish(firstCell, cellCount) {
      const rising = [...layers.keys()].sort((a, b) => firstCell.get(a)! - firstCell.get(b)!);
      const offsets = new Float64Array(sequences + 1);
      for (const { runs } of layers.values()) {
        for (let r = 0; r < runs.length; r += 2) offsets[runs.values[r]! + 1]! += runs.values[r + 1]!;
      }
      for (let s = 0; s < sequences; s++) offsets[s + 1]! += offsets[s]!;
      const largest = lengths.reduce((most, length) => Math.max(most, length), 0);
      const sparse = allocateSparse(sequences, cellCount, offsets, largest);
      const next = offsets.slice(0, sequences);
      for (const layer of rising) {
        const { runs, experts, counts } = layers.get(layer)!;
        let at = 0;
        for (let r = 0; r < runs.length; r += 2) {
          const sequence = runs.values[r]!;
          for (let i = 0; i < runs.values[r + 1]!; i++, at++) {
            const target = next[sequence]!++;
            sparse.cells[target] = firstCell.get(layer)! + experts.values[at]!;
            sparse.counts[target] = counts.values[at]!;
          }
        }
        layers.delete(layer);
      }
      return mergeEntries(sparse);
    },
  };
}

/** Sorts every sequence's entries by cell, in place, and joins those of one cell: a sequence may come in several batches. */
function mergeEntries(sparse: SparseCounts): SparseCounts {
  const { offsets, cells, counts, cellCount, sequences } = sparse;
  const sums = new Uint32Array(cellCount);
  let to = 0;
  let from = 0;
  for (let s = 0; s < sequences; s++) {
    const end = offsets[s + 1]!;
    for (let i = from; i < end; i++) sums[cells[i]!]! += counts[i]!;
    cells.subarray(from, end).sort();
    for (let i = from; i < end; i++) {
      const cell = cells[i]!;
      const sum = sums[cell]!;
      if (sum === 0) continue;
      cells[to] = cell;
      counts[to++] = sum;
      sums[cell] = 0;
    }
    offsets[s + 1] = to;
    from = end;
  }
  return { ...sparse, cells: cells.subarray(0, to), counts: counts.subarray(0, to) };
}

/** A list of u32 in one typed array that doubles when it is full. */
class GrowingUint32 {
  values = new Uint32Array(1024);
  length = 0;

  push(value: number): void {
    if (this.length === this.values.length) {
      const grown = new Uint32Array(this.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    this.values[this.length++] = value;
  }
}
