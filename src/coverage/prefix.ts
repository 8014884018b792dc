import type { SparseCounts } from '../mix/balance-counts.js';
import type { Sequence } from '../mix/sequence.js';

/** The first tokens of every sequence: what a cheap pass runs instead of all of them. */
export function prefixesOf(sequences: readonly Sequence[], tokens: number): Sequence[] {
  return sequences.map((sequence) =>
    sequence.inputIds.length <= tokens
      ? sequence
      : {
          ...sequence,
          inputIds: sequence.inputIds.subarray(0, tokens),
          channels: sequence.channels.subarray(0, tokens),
        },
  );
}

/** Routed tokens that the whole sequences would bring each cell, as far as their beginnings tell; all [cells]. */
export interface CellEstimates {
  readonly routed: Float64Array;
  /** Bounds of the confidence interval; equal to `routed` where everything was run. */
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** Two-sided 95 %. */
const Z = 1.959964;

/**
 * Estimates from prefixes. What was run is known. The rest of every sequence is taken to go where its own beginning
 * went: sequences are the strata of a stratified sample, so their being unlike each other costs nothing. The interval is
 * Wilson's for the share of the rest, with as many trials as give the variance Σ_i (rest_i²/n_i + rest_i)·p(1 − p): the
 * sample's and the rest's own. It does not know of beginnings that are unlike what follows them; where that is to be
 * feared, run a longer prefix.
 *
 * @param counts of the prefixes, one row per sequence
 * @param run tokens run of every sequence
 * @param lengths tokens of every whole sequence
 */
export function estimateFromPrefixes(
  counts: SparseCounts,
  run: ArrayLike<number>,
  lengths: ArrayLike<number>,
  z: number = Z,
): CellEstimates {
  const { sequences, cellCount, offsets, cells } = counts;
  const known = new Float64Array(cellCount);
  const expected = new Float64Array(cellCount);
  let [rest, variance] = [0, 0];
  for (let i = 0; i < sequences; i++) {
    const n = run[i]!;
    const left = Math.max(0, lengths[i]! - n);
    rest += left;
    variance += left === 0 ? 0 : (left * left) / Math.max(1, n) + left;
    for (let j = offsets[i]!; j < offsets[i + 1]!; j++) {
      known[cells[j]!]! += counts.counts[j]!;
      expected[cells[j]!]! += (counts.counts[j]! * left) / Math.max(1, n);
    }
  }
  if (rest === 0) return { routed: known, low: known, high: known };
  const trials = (rest * rest) / variance;
  const low = new Float64Array(cellCount);
  const high = new Float64Array(cellCount);
  for (let cell = 0; cell < cellCount; cell++) {
    const [least, most] = wilson(Math.min(1, expected[cell]! / rest), trials, z);
    low[cell] = known[cell]! + least * rest;
    high[cell] = known[cell]! + most * rest;
  }
  return { routed: known.map((routed, cell) => routed + expected[cell]!), low, high };
}

/** Wilson's score interval (1927) of a share seen in n trials; all of 0 … 1 when there were none. */
export function wilson(share: number, n: number, z: number = Z): [low: number, high: number] {
  if (n <= 0) return [0, 1];
  const center = share + (z * z) / (2 * n);
  const half = z * Math.sqrt((share * (1 - share)) / n + (z * z) / (4 * n * n));
  const scale = 1 + (z * z) / n;
  return [Math.max(0, (center - half) / scale), Math.min(1, (center + half) / scale)];
}

/** Cells by what an estimate says of the floor. */
export interface FloorJudgement {
  readonly above: number;
  readonly below: number;
  /** The interval spans the floor: a longer prefix has to tell. */
  readonly open: number;
}

/** Early stopping: when no cell is open any more, a longer pass would not change the verdict at this confidence. */
export function judgeFloor({ low, high }: CellEstimates, floor: number): FloorJudgement {
  let [above, below] = [0, 0];
  for (let cell = 0; cell < low.length; cell++) {
    if (low[cell]! >= floor) above++;
    else if (high[cell]! < floor) below++;
  }
  return { above, below, open: low.length - above - below };
}

/** Prefix lengths to try in turn, doubling: all of them together cost no more than the last one does twice. */
export function prefixLengths(longest: number, first = 64): number[] {
  const lengths: number[] = [];
  for (let length = first; length < longest; length *= 2) lengths.push(length);
  return [...lengths, longest];
}

/** Counts of whole sequences as their prefixes suggest, rounded: good enough to select by, not to judge by. */
export function scaleToWhole(counts: SparseCounts, run: ArrayLike<number>, lengths: ArrayLike<number>): SparseCounts {
  const scaled = new Uint32Array(counts.counts.length);
  for (let i = 0; i < counts.sequences; i++) {
    const factor = lengths[i]! / Math.max(1, run[i]!);
    for (let j = counts.offsets[i]!; j < counts.offsets[i + 1]!; j++)
      scaled[j] = Math.round(counts.counts[j]! * factor);
  }
  return { ...counts, counts: scaled };
}
