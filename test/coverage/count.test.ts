import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createCoverageCounter } from '../../src/coverage/count.js';
import type { Coverage } from '../../src/coverage/coverage.js';
import { coverageOfCounts } from '../../src/coverage/from-counts.js';
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
  const byLanguage = new Map<string, { routed: number; gate: number; readonly keys: Set<string> }>();
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
    const own = byLanguage.get(sequence.language) ?? { routed: 0, gate: 0, keys: new Set() };
    byLanguage.set(sequence.language, own);
    own.routed++;
    own.gate += batch.weights[slot]!;
    own.keys.add(sampleKey(sequence));
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
        expect(coverage.layers[l]!.gateMass[e]).toBeCloseTo(wanted.gate, 5);
        for (const language of ['el', 'en', 'ka']) {
          const group = coverage.languages[language]!;
          const own = wanted.byLanguage.get(language) ?? { routed: 0, gate: 0, keys: new Set() };
          expect(group.routed[l]![e]).toBe(own.routed);
          expect(group.gateMass[l]![e]).toBeCloseTo(own.gate, 5);
          expect(group.cellSamples[l]![e]).toBe(own.keys.size);
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

  test('sums of sequences give the same coverage, but for what they do not know', () => {
    const { coverage, sparse } = audit(sequences, layers);
    const again = coverageOfCounts({ model, sequences, counts: sparse, layers: coverage.layers, floor: 64 });
    const without = (group: object): object => ({ ...group, gateMass: [] });
    const groups = (table: Coverage['languages']): unknown =>
      Object.fromEntries(Object.entries(table).map(([name, group]) => [name, without(group)]));
    expect(again).toEqual({
      ...coverage,
      layers: coverage.layers.map(without),
      languages: groups(coverage.languages),
      categories: groups(coverage.categories),
      sources: groups(coverage.sources),
      channels: Object.fromEntries(
        Object.entries(coverage.channels).map(([name, { tokens }]) => [name, { tokens, routed: [], gateMass: [] }]),
      ),
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

  test('floors of channels and of the median length are judged, whether there are experts or not', () => {
    const { channels, lengths } = auditDense(sequences, {});
    const floors = { tool: channels.tool.tokens + 1, user: channels.user.tokens, length: lengths.median + 1 };
    const failures = [
      { kind: 'channel', channel: 'tool', tokens: channels.tool.tokens, floor: channels.tool.tokens + 1 },
      { kind: 'length', median: lengths.median, floor: lengths.median + 1 },
    ];
    const counter = createCoverageCounter({ sequences, floor: 0, floors });
    counter.add(layers[0]!);
    for (const coverage of [auditDense(sequences, floors), counter.finish({ model })]) {
      expect(coverage).toMatchObject({ failures, verdict: 'fail', languageFloors: {}, lengthFloor: floors.length });
      expect(coverage.channelFloors).toEqual({ tool: floors.tool, user: floors.user });
    }
  });

  test('in a dense model the general floor counts for every language and channel of the mix', () => {
    const only = sequences.map((sequence) => ({ ...sequence, channels: new Uint8Array(sequence.channels.length) }));
    const coverage = createCoverageCounter({ sequences: only, floor: 1e6, floors: { el: 0 } }).finish({ model });
    expect(coverage.failures.map((failure) => ('language' in failure ? failure.language : failure.kind))).toEqual([
      'en',
      'ka',
      'channel',
    ]);
  });
});
