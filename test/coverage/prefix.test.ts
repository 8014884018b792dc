import { describe, expect, test } from 'vitest';
import { createCoverageCounter } from '../../src/coverage/count.js';
import {
  choosePilot,
  type PrefixSample,
  estimateFromPrefixes,
  judgeFloor,
  prefixesOf,
  prefixLengths,
  scaleToWhole,
  wilson,
} from '../../src/coverage/prefix.js';
import type { RoutingBatch } from '../../src/coverage/routing.js';
import type { SparseCounts } from '../../src/mix/balance-counts.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { syntheticRouting, syntheticSequences } from './synthetic.js';

const EXPERTS = 64;

/** Routing whose first tokens go elsewhere than the rest, as templates make them, and that each sequence bends its way. */
function biasedRouting(sequences: readonly Sequence[], seed: number): RoutingBatch {
  const batch = syntheticRouting(sequences, 0, EXPERTS, 4, seed);
  const chosen = batch.chosen.map((expert, slot) => {
    const t = Math.floor(slot / 4);
    if (batch.positionOf[t]! < 12) return (expert + 7) % EXPERTS;
    return (batch.sequenceOf[t]! + t) % 5 === 0 ? (expert + 11) % EXPERTS : expert;
  });
  return { ...batch, chosen };
}

/** The tokens of a batch that `keep` admits, counted as if they were all there is. */
function countSome(
  sequences: readonly Sequence[],
  batch: RoutingBatch,
  keep: (sequence: number, position: number) => boolean,
  renumber: (sequence: number) => number = (sequence) => sequence,
): SparseCounts {
  const kept = [...batch.positionOf.keys()].filter((t) => keep(batch.sequenceOf[t]!, batch.positionOf[t]!));
  const slots = kept.flatMap((t) => [t * 4, t * 4 + 1, t * 4 + 2, t * 4 + 3]);
  const counter = createCoverageCounter({ sequences, floor: 1, perSequence: true });
  counter.add({
    ...batch,
    sequenceOf: Int32Array.from(kept, (t) => renumber(batch.sequenceOf[t]!)),
    positionOf: Int32Array.from(kept, (t) => batch.positionOf[t]!),
    chosen: Int32Array.from(slots, (slot) => batch.chosen[slot]!),
    weights: Float32Array.from(slots, (slot) => batch.weights[slot]!),
  });
  return counter.sparseCounts();
}

function sampleOf(sequences: readonly Sequence[], tokens: number, pilotSize: number, seed: number) {
  const batch = biasedRouting(sequences, seed);
  const prefixed = prefixesOf(sequences, tokens);
  const pilot = choosePilot(sequences.length, pilotSize, seed);
  const pilotSequences = pilot.map((index) => sequences[index]!);
  const sample: PrefixSample = {
    prefixes: countSome(prefixed, batch, (_, position) => position < tokens),
    run: lengthsOf(prefixed),
    lengths: lengthsOf(sequences),
    pilot,
    whole: countSome(
      pilotSequences,
      batch,
      (sequence) => pilot.includes(sequence),
      (sequence) => pilot.indexOf(sequence),
    ),
  };
  return { sample, truth: totals(countSome(sequences, batch, () => true)) };
}

function totals({ cells, counts, cellCount }: SparseCounts): Float64Array {
  const sum = new Float64Array(cellCount);
  for (let j = 0; j < cells.length; j++) sum[cells[j]!]! += counts[j]!;
  return sum;
}

function tokensIn(lengths: ArrayLike<number>): number {
  return Array.from(lengths).reduce((sum, length) => sum + length, 0);
}

const lengthsOf = (sequences: readonly Sequence[]): number[] => sequences.map(({ inputIds }) => inputIds.length);

describe('estimateFromPrefixes()', () => {
  test('its 95 % interval holds the truth in 95 % of cells, though beginnings are unlike the rest', () => {
    let [held, cells] = [0, 0];
    for (let seed = 1; seed <= 16; seed++) {
      const sequences = syntheticSequences({ seed, sequences: 120, length: 200, languages: ['el', 'en', 'ka', 'fi'] });
      const { sample, truth } = sampleOf(sequences, 32, 30, seed);
      const { low, high } = estimateFromPrefixes(sample);
      truth.forEach((routed, cell) => {
        cells++;
        if (low[cell]! <= routed && routed <= high[cell]!) held++;
      });
    }
    expect(held / cells).toBeGreaterThan(0.91);
    expect(held / cells).toBeLessThan(0.98);
  });

  test('is exact when everything was run', () => {
    const sequences = syntheticSequences({ seed: 1, sequences: 20, length: 100, languages: ['el'] });
    const { sample, truth } = sampleOf(sequences, 100, 0, 1);
    const estimates = estimateFromPrefixes(sample);
    expect(estimates).toEqual({ routed: truth, low: truth, high: truth });
    const judged = judgeFloor(estimates, 30);
    const above = truth.filter((n) => n >= 30).length;
    expect(judged).toEqual({ above, below: truth.length - above, open: 0 });
  });

  test('without a pilot it claims nothing', () => {
    const sequences = syntheticSequences({ seed: 1, sequences: 20, length: 100, languages: ['el'] });
    const { sample } = sampleOf(sequences, 20, 0, 1);
    const { routed, low, high } = estimateFromPrefixes(sample);
    const known = totals(sample.prefixes);
    const rest = tokensIn(sample.lengths) - tokensIn(sample.run);
    expect(low).toEqual(known);
    expect(high).toEqual(known.map((tokens) => tokens + rest));
    expect(routed.every((tokens, cell) => tokens >= low[cell]! && tokens <= high[cell]!)).toBe(true);
  });

  test('longer prefixes leave fewer cells open', () => {
    const sequences = syntheticSequences({ seed: 4, sequences: 80, length: 400, languages: ['el', 'en'] });
    const open = prefixLengths(400, 25).map(
      (tokens) => judgeFloor(estimateFromPrefixes(sampleOf(sequences, tokens, 20, 4).sample), 200).open,
    );
    expect(open[0]).toBeGreaterThan(0);
    expect(open.at(-1)).toBe(0);
  });

  test('scaleToWhole() keeps the expected sum', () => {
    const sequences = syntheticSequences({ seed: 4, sequences: 30, length: 400, languages: ['el', 'en'] });
    const { sample, truth } = sampleOf(sequences, 64, 0, 4);
    const scaled = totals(scaleToWhole(sample.prefixes, sample.run, sample.lengths));
    expect(scaled.reduce((a, b) => a + b, 0) / truth.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 1);
  });
});

test('wilson() agrees with published values', () => {
  // Newcombe 1998, Stat. Med. 17:857, table I, method 3: 81/263, 15/148, 0/20, 1/29.
  for (const [k, n, low, high] of [
    [81, 263, 0.2553, 0.3662],
    [15, 148, 0.0624, 0.1605],
    [0, 20, 0, 0.1611],
    [1, 29, 0.0061, 0.1718],
  ] as const) {
    expect(wilson(k / n, n)[0]).toBeCloseTo(low, 4);
    expect(wilson(k / n, n)[1]).toBeCloseTo(high, 4);
  }
});
