import { describe, expect, test } from 'vitest';
import { createCoverageCounter } from '../../src/coverage/count.js';
import type { Coverage } from '../../src/coverage/coverage.js';
import { estimatedCoverage } from '../../src/coverage/estimated.js';
import { choosePilot, prefixesOf } from '../../src/coverage/prefix.js';
import type { RoutingBatch } from '../../src/coverage/routing.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { renderHtml } from '../../src/report/html.js';
import { renderMarkdown } from '../../src/report/markdown.js';
import { renderTerminal } from '../../src/report/terminal.js';
import { syntheticRouting, syntheticSequences } from './synthetic.js';

const model = { path: 'm', architecture: 'Qwen3MoeForCausalLM' };
const LAYERS = 2;
const EXPERTS = 16;
const sequences = syntheticSequences({ seed: 6, sequences: 150, length: 120, languages: ['el', 'en', 'ka'] });
const batches = Array.from({ length: LAYERS }, (_, layer) => syntheticRouting(sequences, layer, EXPERTS, 2));

/** Counts of the tokens of some sequences that `keep` admits. */
function count(list: readonly Sequence[], index: (sequence: number) => number, keep: (position: number) => boolean) {
  const counter = createCoverageCounter({ sequences: list, floor: 64, perSequence: true });
  for (const batch of batches) counter.add(restrict(batch, index, keep));
  return { coverage: counter.finish({ model }), sparse: counter.sparseCounts() };
}

function restrict(
  batch: RoutingBatch,
  index: (sequence: number) => number,
  keep: (position: number) => boolean,
): RoutingBatch {
  const tokens = [...batch.sequenceOf.keys()].filter(
    (t) => index(batch.sequenceOf[t]!) >= 0 && keep(batch.positionOf[t]!),
  );
  const slots = tokens.flatMap((t) => Array.from({ length: batch.topK }, (_, k) => t * batch.topK + k));
  return {
    ...batch,
    sequenceOf: Int32Array.from(tokens, (t) => index(batch.sequenceOf[t]!)),
    positionOf: Int32Array.from(tokens, (t) => batch.positionOf[t]!),
    chosen: Int32Array.from(slots, (slot) => batch.chosen[slot]!),
    weights: Float32Array.from(slots, (slot) => batch.weights[slot]!),
  };
}

function estimate(prefix: number, floor: number, pilotSize = 40): Coverage {
  const pilot = choosePilot(sequences.length, pilotSize, 1);
  const beginnings = prefixesOf(sequences, prefix);
  const lengths = (list: readonly Sequence[]): number[] => list.map(({ inputIds }) => inputIds.length);
  return estimatedCoverage({
    model,
    sequences,
    layers: batches,
    floor,
    prefix,
    sample: {
      prefixes: count(
        beginnings,
        (s) => s,
        (position) => position < prefix,
      ).sparse,
      run: lengths(beginnings),
      lengths: lengths(sequences),
      pilot,
      whole: count(
        pilot.map((s) => sequences[s]!),
        (s) => pilot.indexOf(s),
        () => true,
      ).sparse,
    },
  });
}

const exact = count(
  sequences,
  (s) => s,
  () => true,
).coverage;

describe('estimatedCoverage()', () => {
  test('is near the truth, says how near, and does not make up what was not run', () => {
    const coverage = estimate(30, 64);
    const { low, high, tokensRun } = coverage.estimate!;
    let held = 0;
    exact.layers.forEach(({ routed }, l) =>
      routed.forEach((tokens, e) => (held += low[l]![e]! <= tokens && tokens <= high[l]![e]! ? 1 : 0)),
    );
    expect(held).toBeGreaterThanOrEqual(0.9 * LAYERS * EXPERTS);
    expect(tokensRun).toBeLessThan(exact.tokens);
    expect(coverage).toMatchObject({ tokens: exact.tokens, samples: exact.samples, fragile: { oneSample: null } });
    expect(coverage.layers.flatMap(({ samples, gateMass }) => [...samples, ...gateMass])).toEqual([]);
  });

  test('the splits add up to the cells but for rounding', () => {
    const coverage = estimate(30, 64);
    coverage.layers.forEach(({ routed }, l) =>
      routed.forEach((tokens, e) => {
        const sum = Object.values(coverage.languages).reduce((total, group) => total + group.routed[l]![e]!, 0);
        expect(Math.abs(sum - tokens)).toBeLessThanOrEqual(2);
      }),
    );
  });

  test('a cell that may be on either side of the floor keeps the mix from passing', () => {
    const rising = exact.layers.flatMap(({ routed }) => routed).toSorted((a, b) => a - b);
    const floor = Math.round(rising[4]! * 1.02);
    const coverage = estimate(30, floor);
    const { low, high, open } = coverage.estimate!;
    const spans = low.flat().filter((value, cell) => value < floor && high.flat()[cell]! >= floor).length;
    expect(open).toBeGreaterThan(0);
    expect(Math.abs(spans - open)).toBeLessThanOrEqual(1);
    expect(coverage.failures).toContainEqual({ kind: 'open', cells: open, floor });
    expect(coverage.verdict).toBe('fail');
    expect(estimate(30, 0).verdict).toBe('pass');
  });

  test('all three reports state the error', () => {
    const coverage = estimate(30, 64);
    for (const text of [
      renderTerminal({ coverage }, { width: 500 }),
      renderMarkdown({ coverage }),
      renderHtml({ coverage }),
    ]) {
      expect(text).toMatch(/Estimated from the first 30 tokens of every sequence and 40 whole ones, .* known to ±/);
    }
  });
});
