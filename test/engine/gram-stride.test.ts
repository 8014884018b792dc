import * as fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { chooseScales, scaleCandidates } from '../../src/awq/scale-candidates.js';
import { scaleLosses } from '../../src/awq/scale-search.js';
import { DEFAULT_ROUNDING, DEFAULT_SEARCH } from '../../src/awq/settings.js';
import { addWeightMagnitude, createWeightMagnitude, meanWeightMagnitude } from '../../src/awq/statistics.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { gramStride, momentStride } from '../../src/engine/gram-stride.js';
import { planModel } from '../../src/model/registry.js';
import type { Linear, Tap } from '../../src/model/plan.js';
import { planBatches, type Batch } from '../../src/runtime/batches.js';
import { loadLayer } from '../../src/runtime/layer-runner.js';
import { createRowStore, openRowStore } from '../../src/runtime/row-store.js';
import { createScratch } from '../../src/runtime/scratch.js';
import { createSessionCache } from '../../src/runtime/sessions.js';
import type { TapSums } from '../../src/runtime/tap-sums.js';
import { createWeightReader, readLinear } from '../../src/runtime/weights.js';

const NEAREST = { ...DEFAULT_ROUNDING, rounding: 'nearest' } as const;
const TAPS: readonly Tap[] = ['mixer-input', 'feed-forward-input'];

const checkpoint = openCheckpoint('test/models/polyglot-moe-18m');
const plan = planModel(checkpoint);
const layer = plan.layers[1]!;
const reader = createWeightReader(checkpoint);
const runtime = { sessions: createSessionCache(), scratch: createScratch() };
afterAll(() => checkpoint.close());

/** Sequences of 1 to 200 tokens, drawn unevenly from the vocabulary. */
const offsets = Int32Array.from({ length: 81 }, (_, i) => (i * (i + 3)) >> 1).filter((at) => at <= 3000);
const tokens = offsets[offsets.length - 1]!;

async function sumsOf(batches: readonly Batch[], stride: number, sample = new Int32Array(0)) {
  const width = plan.hiddenSize;
  const hidden = openRowStore(createRowStore(tokens, width, null));
  const table = checkpoint.read(plan.embedding.tensor);
  for (let token = 0; token < tokens; token++) {
    const id = (token * token * 31 + token * 7) % plan.vocabularySize;
    hidden.write(token, table, id * width, 1);
  }
  const run = loadLayer(plan, layer, reader, runtime, { taps: new Set(TAPS), stride, sample });
  for (const batch of batches) await run.run(batch, hidden);
  return run;
}

const padded = planBatches(offsets, 4);
const alone = padded.flatMap(({ sequences }) => sequences.map((each) => ({ sequences: [each], length: each.length })));

/** √(Σ(a − b)² / Σb²) */
function distance(a: Float32Array, b: Float32Array): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}

describe('gramStride()', () => {
  it('leaves enough rows, and all of them for error feedback', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e7 }), fc.integer({ min: 1, max: 16_384 }), (rows, features) => {
        const stride = gramStride(NEAREST, rows, features);
        expect(Number.isInteger(Math.log2(stride))).toBe(true);
        if (stride > 1) expect(rows / stride).toBeGreaterThanOrEqual(Math.max(1024, 4 * features));
        expect(gramStride(DEFAULT_ROUNDING, rows, features)).toBe(1);
      }),
    );
  });
});

describe('momentStride()', () => {
  it('leaves 64 rows for each feature, and all where there are fewer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e7 }), fc.integer({ min: 1, max: 16_384 }), (rows, features) => {
        const stride = momentStride(rows, features);
        expect(Number.isInteger(Math.log2(stride))).toBe(true);
        if (stride > 1) expect(rows / stride).toBeGreaterThanOrEqual(64 * features);
        else expect(rows).toBeLessThan(2 * 64 * features);
      }),
    );
  });
});

describe('sums over one token in four', () => {
  it('stand for all: four times what those tokens give, padded or not', async () => {
    const everyone = Int32Array.from({ length: tokens }, (_, i) => i);
    const { samples, sampledTokens } = await sumsOf(alone, 1, everyone);
    const strided = [(await sumsOf(padded, 4)).sums, (await sumsOf(alone, 4)).sums];
    for (const tap of TAPS) {
      const width = plan.hiddenSize;
      const gram = new Float64Array(width * width);
      const absolute = new Float64Array(width);
      const rows = samples.get(tap)!.flatMap((part) => [part]);
      let at = 0;
      for (const part of rows) {
        for (let row = 0; row < part.length; row += width, at++) {
          if (sampledTokens[at]! % 4 !== 0) continue;
          for (let i = 0; i < width; i++) {
            absolute[i]! += 4 * Math.abs(part[row + i]!);
            for (let j = 0; j < width; j++) gram[i * width + j]! += 4 * part[row + i]! * part[row + j]!;
          }
        }
      }
      for (const sums of strided) {
        expect(distance(sums.get(tap)!.gram, Float32Array.from(gram))).toBeLessThan(1e-4);
        expect(distance(sums.get(tap)!.absolute, Float32Array.from(absolute))).toBeLessThan(1e-4);
      }
    }
  });

  it('choose scales whose loss on all tokens is within 1 % of the best', async () => {
    const [all, some] = [(await sumsOf(padded, 1)).sums, (await sumsOf(padded, 2)).sums];
    for (const tap of TAPS) {
      const linear = layer.edges.find((edge) => edge.tap === tap)!.readers[0]!;
      const exact = await search(linear, all.get(tap)!);
      const sampled = await search(linear, some.get(tap)!);
      expect(exact.losses[sampled.losses.indexOf(Math.min(...sampled.losses))]! / exact.loss).toBeLessThan(1.01);
    }
  });
});

async function search(linear: Linear, { gram, absolute }: TapSums) {
  const { inFeatures, outFeatures } = linear;
  const weight = readLinear(reader, linear);
  const scheme = { bits: 4, symmetric: true, groupSize: 128 } as const;
  const magnitude = createWeightMagnitude(inFeatures);
  addWeightMagnitude(magnitude, weight, outFeatures, inFeatures, scheme);
  const mean = absolute.map((sum) => sum / tokens);
  const candidates = scaleCandidates(mean, meanWeightMagnitude(magnitude), DEFAULT_SEARCH);
  const searched = { weight, outFeatures, inFeatures, statistics: { kind: 'gram', gram }, lossWeight: 1, rows: 256 };
  return chooseScales(
    candidates,
    await scaleLosses(candidates, searched as Parameters<typeof scaleLosses>[1], scheme, DEFAULT_SEARCH, 'BF16'),
  );
}
