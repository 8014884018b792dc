import { describe, expect, test } from 'vitest';
import { createCoverageCounter } from '../../src/coverage/count.js';
import {
  estimateFromPrefixes,
  judgeFloor,
  prefixesOf,
  prefixLengths,
  scaleToWhole,
  wilson,
} from '../../src/coverage/prefix.js';
import type { SparseCounts } from '../../src/mix/balance-counts.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { syntheticRouting, syntheticSequences } from './synthetic.js';

const EXPERTS = 64;

/** Counts of the whole sequences and of their first tokens, from the same routing. */
function countBoth(
  sequences: readonly Sequence[],
  tokens: number,
  seed: number,
): { whole: SparseCounts; prefix: SparseCounts } {
  const batch = syntheticRouting(sequences, 0, EXPERTS, 4, seed);
  const whole = createCoverageCounter({ sequences, floor: 1, perSequence: true });
  whole.add(batch);
  const keep = [...batch.positionOf.keys()].filter((t) => batch.positionOf[t]! < tokens);
  const prefix = createCoverageCounter({ sequences: prefixesOf(sequences, tokens), floor: 1, perSequence: true });
  prefix.add({
    ...batch,
    sequenceOf: Int32Array.from(keep, (t) => batch.sequenceOf[t]!),
    positionOf: Int32Array.from(keep, (t) => batch.positionOf[t]!),
    chosen: Int32Array.from(keep.flatMap((t) => Array.from(batch.chosen.subarray(t * 4, t * 4 + 4)))),
    weights: Float32Array.from(keep.flatMap((t) => Array.from(batch.weights.subarray(t * 4, t * 4 + 4)))),
  });
  return { whole: whole.sparseCounts(), prefix: prefix.sparseCounts() };
}

function totals({ cells, counts, cellCount }: SparseCounts): Float64Array {
  const sum = new Float64Array(cellCount);
  for (let j = 0; j < cells.length; j++) sum[cells[j]!]! += counts[j]!;
  return sum;
}

function tokensOf(counts: SparseCounts): number {
  return totals(counts).reduce((a, b) => a + b, 0);
}

const lengthsOf = (sequences: readonly Sequence[]): number[] => sequences.map(({ inputIds }) => inputIds.length);

describe('estimateFromPrefixes()', () => {
  test('its 95 % interval holds the truth in 95 % of cells', () => {
    let [held, cells] = [0, 0];
    for (let seed = 1; seed <= 30; seed++) {
      const sequences = syntheticSequences({ seed, sequences: 60, length: 300, languages: ['el', 'en', 'ka', 'fi'] });
      const { whole, prefix } = countBoth(sequences, 48, seed);
      const { low, high } = estimateFromPrefixes(prefix, lengthsOf(prefixesOf(sequences, 48)), lengthsOf(sequences));
      totals(whole).forEach((truth, cell) => {
        cells++;
        if (low[cell]! <= truth && truth <= high[cell]!) held++;
      });
    }
    expect(held / cells).toBeGreaterThan(0.93);
    expect(held / cells).toBeLessThan(0.98);
  });

  test('is exact when everything was run', () => {
    const sequences = syntheticSequences({ seed: 1, sequences: 20, length: 100, languages: ['el'] });
    const { whole } = countBoth(sequences, 10, 1);
    const estimates = estimateFromPrefixes(whole, lengthsOf(sequences), lengthsOf(sequences));
    expect(estimates).toEqual({ routed: totals(whole), low: totals(whole), high: totals(whole) });
    const judged = judgeFloor(estimates, 30);
    expect(judged).toEqual({
      above: totals(whole).filter((n) => n >= 30).length,
      below: totals(whole).filter((n) => n < 30).length,
      open: 0,
    });
  });

  test('longer prefixes leave fewer cells open', () => {
    const sequences = syntheticSequences({ seed: 4, sequences: 80, length: 400, languages: ['el', 'en'] });
    const open = prefixLengths(400, 25).map((tokens) => {
      const { prefix } = countBoth(sequences, tokens, 4);
      return judgeFloor(
        estimateFromPrefixes(prefix, lengthsOf(prefixesOf(sequences, tokens)), lengthsOf(sequences)),
        200,
      ).open;
    });
    expect(open[0]).toBeGreaterThan(0);
    expect(open.at(-1)).toBe(0);
  });

  test('scaleToWhole() keeps the expected sum', () => {
    const sequences = syntheticSequences({ seed: 4, sequences: 30, length: 400, languages: ['el', 'en'] });
    const { whole, prefix } = countBoth(sequences, 64, 4);
    const scaled = scaleToWhole(prefix, lengthsOf(prefixesOf(sequences, 64)), lengthsOf(sequences));
    expect(tokensOf(scaled) / tokensOf(whole)).toBeCloseTo(1, 1);
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
