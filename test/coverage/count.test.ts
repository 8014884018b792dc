import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCoverageCounter } from '../../src/coverage/count.js';
import type { RoutingBatch } from '../../src/coverage/routing.js';
import { CHANNELS, sampleKey, type Sequence } from '../../src/mix/sequence.js';
import { sliceBatch, syntheticRouting, syntheticSequences } from './synthetic.js';

const model = { path: 'models/x', architecture: 'Qwen3MoeForCausalLM' };

function audit(sequences: readonly Sequence[], batches: readonly RoutingBatch[], floor = 64) {
  const counter = createCoverageCounter({ sequences, floor, perSequence: true });
  for (const batch of batches) counter.add(batch);
  return { coverage: counter.finish({ model }), sparse: counter.sparseCounts() };
}

function auditDense(sequences: readonly Sequence[], floors: Record<string, number>) {
  return createCoverageCounter({ sequences, floor: 1, floors }).finish({ model });
}

function tokensOf(sequences: readonly Sequence[], language: string): number {
  return sequences.filter((s) => s.language === language).reduce((sum, { inputIds }) => sum + inputIds.length, 0);
}

/** Counts a cell the slow way, straight from the definition. */
function naive(sequences: readonly Sequence[], batch: RoutingBatch, expert: number) {
  const keys = new Set<string>();
  const byLanguage = new Map<string, number>();
  const byChannel = new Map<string, number>();
  let [routed, gate] = [0, 0];
  batch.chosen.forEach((chosen, slot) => {
    if (chosen !== expert) return;
    const t = Math.floor(slot / batch.topK);
    const sequence = sequences[batch.sequenceOf[t]!]!;
    const channel = CHANNELS[sequence.channels[batch.positionOf[t]!]!]!;
    routed++;
    gate += batch.weights[slot]!;
    keys.add(sampleKey(sequence));
    byLanguage.set(sequence.language, (byLanguage.get(sequence.language) ?? 0) + 1);
    byChannel.set(channel, (byChannel.get(channel) ?? 0) + 1);
  });
  return { routed, gate, samples: keys.size, byLanguage, byChannel };
}

describe('createCoverageCounter()', () => {
  const sequences = syntheticSequences({
    seed: 3,
    sequences: 70,
    length: 40,
    languages: ['el', 'en', 'ka'],
    sources: ['a', 'b'],
    categories: ['chat', 'terminal_agent'],
    windows: 3,
  });
  const layers = [1, 3].map((layer) => syntheticRouting(sequences, layer, 16, 4));

  test('counts what the definition counts', () => {
    const { coverage } = audit(sequences, layers);
    layers.forEach((batch, l) => {
      for (let e = 0; e < 16; e++) {
        const wanted = naive(sequences, batch, e);
        expect(coverage.layers[l]!.routed[e]).toBe(wanted.routed);
        expect(coverage.layers[l]!.samples[e]).toBe(wanted.samples);
        expect(coverage.layers[l]!.gateMass[e]).toBeCloseTo(wanted.gate, 6);
        for (const language of ['el', 'en', 'ka']) {
          expect(coverage.languages[language]!.routed[l]![e]).toBe(wanted.byLanguage.get(language) ?? 0);
        }
        for (const channel of CHANNELS) {
          expect(coverage.channels[channel].routed[l]![e]).toBe(wanted.byChannel.get(channel) ?? 0);
        }
      }
    });
    expect(coverage.samples).toBe(new Set(sequences.map(sampleKey)).size);
    expect(coverage.layers.map(({ layer }) => layer)).toEqual([1, 3]);
  });

  test('gives the same document at any batch size and order of layers', () => {
    const whole = audit(sequences, layers);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.boolean(), (size, reversed) => {
        const batches = layers.flatMap((batch) => {
          const parts: RoutingBatch[] = [];
          for (let from = 0; from < batch.sequenceOf.length; from += size)
            parts.push(sliceBatch(batch, from, from + size));
          return parts;
        });
        const parts = audit(sequences, reversed ? batches.toReversed() : batches);
        expect(JSON.stringify(parts.coverage)).toBe(JSON.stringify(whole.coverage));
        expect(parts.sparse).toEqual(whole.sparse);
      }),
      { numRuns: 20 },
    );
  });

  test('the splits and the sparse counts add up to the cells', () => {
    const { coverage, sparse } = audit(sequences, layers);
    const sum = new Float64Array(32);
    for (let i = 0; i < sparse.cells.length; i++) sum[sparse.cells[i]!]! += sparse.counts[i]!;
    coverage.layers.forEach(({ routed, topK }, l) => {
      expect(Array.from(sum.subarray(l * 16, (l + 1) * 16))).toEqual(routed);
      expect(routed.reduce((a, b) => a + b, 0)).toBe(coverage.tokens * topK);
      for (const groups of [coverage.languages, coverage.categories, coverage.sources, coverage.channels]) {
        const rows = Object.values(groups).map(
          (group: { readonly routed: readonly (readonly number[])[] }) => group.routed[l]!,
        );
        expect(routed.map((_, e) => rows.reduce((a, row) => a + row[e]!, 0))).toEqual(routed);
      }
    });
  });

  test('the last point of the saturation curve agrees with the summary', () => {
    const { coverage } = audit(sequences, layers, 50);
    const last = coverage.saturation!.points.at(-1)!;
    expect(last.tokens).toBe(coverage.tokens);
    expect(last.atFloor).toBe(coverage.summary.cells - coverage.summary.underFloor);
    expect(last.fed).toBe(coverage.summary.cells - coverage.summary.empty);
  });

  test('refuses a layer with missing, surplus or misplaced tokens', () => {
    const counter = createCoverageCounter({ sequences, floor: 64 });
    counter.add(sliceBatch(layers[0]!, 0, 10));
    expect(() => counter.finish({ model })).toThrow('layer 1 saw 10 of');
    expect(() => counter.add(layers[0]!)).toThrow('tokens seen of');
    const wrong = { ...sliceBatch(layers[1]!, 0, 1), chosen: Int32Array.of(0, 1, 2, 16) };
    expect(() => counter.add(wrong)).toThrow('expert 16 chosen of 16');
  });

  test('forced tokens are told apart and do not lift a cell over the floor', () => {
    const counter = createCoverageCounter({ sequences, floor: 1e6 });
    counter.add(layers[0]!);
    counter.addForced(
      1,
      Array.from({ length: 16 }, () => 1e7),
    );
    const coverage = counter.finish({ model });
    expect(coverage.layers[0]!.forced).toEqual(Array.from({ length: 16 }, () => 1e7));
    expect(coverage.summary.underFloor).toBe(16);
    expect(coverage.verdict).toBe('fail');
  });

  test('a dense model passes on language floors alone', () => {
    expect(auditDense(sequences, { el: tokensOf(sequences, 'el') })).toMatchObject({
      layers: [],
      verdict: 'pass',
      saturation: null,
    });
    expect(auditDense(sequences, { el: tokensOf(sequences, 'el') + 1 })).toMatchObject({
      verdict: 'fail',
      failures: [
        { kind: 'language', language: 'el', tokens: tokensOf(sequences, 'el'), floor: tokensOf(sequences, 'el') + 1 },
      ],
    });
    expect(auditDense(sequences, { fi: 1 }).failures).toEqual([
      { kind: 'language', language: 'fi', tokens: 0, floor: 1 },
    ]);
  });
});
