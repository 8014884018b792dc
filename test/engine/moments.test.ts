import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { moments } from '../../src/engine/drift-moments.js';
import type { DriftJobs } from '../../src/engine/drift-jobs.js';
import type { Columns } from '../../src/graph/moments.js';
import { planModel } from '../../src/model/registry.js';
import { createRowStore, openRowStore, type RowStoreDescriptor } from '../../src/runtime/row-store.js';
import { createScratch } from '../../src/runtime/scratch.js';
import { createSessionCache } from '../../src/runtime/sessions.js';
import { createWeightReader } from '../../src/runtime/weights.js';

const checkpoint = openCheckpoint('test/models/polyglot-moe-18m');
const plan = planModel(checkpoint);
const model = {
  checkpoint,
  plan,
  reader: createWeightReader(checkpoint),
  sessions: createSessionCache(),
  scratch: createScratch(),
};
afterAll(() => checkpoint.close());

const TOKENS = 1500;
const HIDDEN = plan.hiddenSize;
const WIDTH = 96;

function storeOf(width: number, seed: number): { store: RowStoreDescriptor; values: Float32Array } {
  const values = new Float32Array(TOKENS * width);
  for (let i = 0, state = seed; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    values[i] = state / 2 ** 31;
  }
  const store = createRowStore(TOKENS, width, null);
  openRowStore(store).write(0, values);
  return { store, values };
}

const [own, followed] = [storeOf(WIDTH, 1), storeOf(WIDTH, 2)];
const [ownHidden, followedHidden] = [storeOf(HIDDEN, 3), storeOf(HIDDEN, 4)];

/** Σ over every stride-th token within [from, to) of (a − b)[channel] · x̂, in double precision; b left out where null. */
function correlation(
  a: Float32Array,
  b: Float32Array | null,
  width: number,
  at: Columns,
  tokens: Columns,
  stride: number,
): number[] {
  const sums: number[] = [];
  for (let channel = at[0]; channel < at[1]; channel++) {
    for (let other = 0; other < WIDTH; other++) {
      let sum = 0;
      for (let t = firstOf(tokens, stride); t < tokens[1]; t += stride)
        sum += (a[t * width + channel]! - (b?.[t * width + channel] ?? 0)) * followed.values[t * WIDTH + other]!;
      sums.push(sum);
    }
  }
  return sums;
}

/** The first token of a span whose number the stride divides. */
function firstOf([from]: Columns, stride: number): number {
  return Math.ceil(from / stride) * stride;
}

function span(total: number): fc.Arbitrary<Columns> {
  return fc
    .tuple(fc.nat(total - 1), fc.nat(total - 1))
    .map(([a, b]): Columns => [Math.min(a, b), Math.max(a, b) + 1])
    .filter(([from, to]) => to - from <= 12);
}

describe('moments()', () => {
  const everything = { tokens: [0, TOKENS], features: [0, WIDTH], channels: [0, HIDDEN] } as const;
  it('sums up any channels over any tokens, or over some of them', { timeout: 60_000 }, async () => {
    const dealt = fc.record({
      tokens: fc
        .tuple(fc.nat(TOKENS - 1), fc.nat(TOKENS - 1))
        .map(([a, b]): Columns => [Math.min(a, b), Math.max(a, b) + 1]),
      features: span(WIDTH),
      channels: span(HIDDEN),
      stride: fc.constantFrom(1, 2, 8),
    });
    await fc.assert(
      fc.asyncProperty(dealt, async ({ tokens, features, channels, stride }) => {
        const result = await sumsOf(tokens, features, channels, stride);
        expectNear(result.gram, correlation(followed.values, null, WIDTH, features, tokens, stride));
        expectNear(result.cross!, correlation(own.values, followed.values, WIDTH, features, tokens, stride));
        const owed = correlation(ownHidden.values, followedHidden.values, HIDDEN, channels, tokens, stride);
        expectNear(result.owed!, owed);
        const absolute = Array.from({ length: features[1] - features[0] }, (_, i) => {
          let sum = 0;
          for (let t = firstOf(tokens, stride); t < tokens[1]; t += stride)
            sum += Math.abs(followed.values[t * WIDTH + features[0] + i]!);
          return sum;
        });
        expectNear(result.absolute, absolute);
      }),
      { numRuns: 20 },
    );
  });

  it('is the whole, whether lanes take tokens or channels', async () => {
    const whole = await sumsOf(everything.tokens, everything.features, everything.channels);
    const [left, right] = [
      await sumsOf(everything.tokens, [0, 41], [0, 100]),
      await sumsOf(everything.tokens, [41, WIDTH], [100, HIDDEN]),
    ];
    const [first, last] = [
      await sumsOf([0, 700], everything.features, everything.channels),
      await sumsOf([700, TOKENS], everything.features, everything.channels),
    ];
    for (const name of ['gram', 'absolute', 'cross', 'owed'] as const) {
      expectNear(whole[name]!, [...left[name]!, ...right[name]!]);
      expectNear(
        whole[name]!,
        Array.from(first[name]!, (value, i) => value + last[name]![i]!),
      );
    }
    expect([...first.sample, ...last.sample]).toEqual([...whole.sample]);
    expect([...whole.sample.subarray(WIDTH)]).toEqual([
      ...followed.values.subarray(1024 * WIDTH, 1025 * WIDTH),
      ...followed.values.subarray(1400 * WIDTH, 1401 * WIDTH),
    ]);
  });
});

async function sumsOf(
  [from, to]: Columns,
  features: Columns,
  channels: Columns,
  stride = 1,
): Promise<DriftJobs['moments']['result']> {
  const job = {
    stride,
    from,
    to,
    features,
    own: own.store,
    followed: followed.store,
    normedBy: null,
    streams: { own: ownHidden.store, followed: followedHidden.store, channels },
    sample: Int32Array.of(3, 1024, 1400),
  };
  return (await moments(model, job)).result as DriftJobs['moments']['result'];
}

function expectNear(actual: Float32Array, expected: readonly number[]): void {
  expect(actual.length).toBe(expected.length);
  const largest = actual.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0);
  expect(largest).toBeLessThan(1e-3);
}
