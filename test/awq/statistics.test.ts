import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { signalEnergy, sketchLoss, traceLoss } from '../../src/awq/loss.js';
import { chooseScales, rowsPerLinear, scaleCandidates } from '../../src/awq/scale-candidates.js';
import { scaleLosses } from '../../src/awq/scale-search.js';
import { DEFAULT_SEARCH } from '../../src/awq/settings.js';
import type { Scheme } from '../../src/awq/scheme.js';
import {
  addWeightMagnitude,
  createWeightMagnitude,
  meanWeightMagnitude,
  shrink,
  smoothGram,
} from '../../src/awq/statistics.js';
import { correlatedInputs, gramOf, normals, outputEnergy } from './fixtures.js';

const SCHEME: Scheme = { bits: 4, symmetric: true, groupSize: 64 };

describe('traceLoss()', () => {
  it('equals the output energy of running the Linear, as does the sketch of all rows', async () => {
    const inputs = correlatedInputs(150, 96, 3);
    const delta = normals(30 * 96, 5);
    const want = outputEnergy(delta, inputs, 96);
    expect((await traceLoss(delta, gramOf(inputs, 96), 96)) / want).toBeCloseTo(1, 5);
    const sketch = inputs.map((x) => x / Math.sqrt(150));
    expect((await sketchLoss(delta, sketch, 150, 96)) / want).toBeCloseTo(1, 5);
  });

  it('is estimated within 10 % by signalEnergy() for many rows', async () => {
    const gram = gramOf(correlatedInputs(300, 96, 3), 96);
    const weight = normals(500 * 96, 5);
    const exact = await traceLoss(weight, gram, 96);
    expect(Math.abs((await signalEnergy(weight, gram, 500, 96)) / exact - 1)).toBeLessThan(0.1);
  });
});

describe('shrink()', () => {
  const [sum, layer] = [Float32Array.of(10, 20), Float32Array.of(1, 4)];
  it('interpolates between routed statistics and the layer', () => {
    expect([...shrink(sum, 10, layer, 0)!]).toEqual([1, 2]);
    expect([...shrink(sum, 10, layer, 10)!]).toEqual([1, 3]);
    expect([...shrink(sum, 10, layer, Infinity)!]).toEqual([1, 4]);
    expect([...shrink(new Float32Array(2), 0, layer, 5)!]).toEqual([1, 4]);
    expect([...shrink(sum, 10, null, 5)!]).toEqual([1, 2]);
  });
  it('gives null when nothing stands behind it', () => {
    expect(shrink(new Float32Array(2), 0, layer, 0)).toBeNull();
    expect(shrink(new Float32Array(2), 0, null, 4096)).toBeNull();
    expect(shrink(new Float32Array(2), 0, null, Infinity)).toBeNull();
  });
  it('does not depend on the order in which sums were gathered, within rounding', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.float({ noNaN: true, min: -9, max: 9 }), { minLength: 4, maxLength: 4 }), {
          minLength: 1,
        }),
        (parts) => {
          const one = shrink(Float32Array.from(addAll(parts)), parts.length, null, 0)!;
          const other = shrink(Float32Array.from(addAll(parts.toReversed())), parts.length, null, 0)!;
          for (const [i, x] of one.entries()) expect(Math.abs(x - other[i]!)).toBeLessThan(1e-4);
        },
      ),
    );
  });
});

describe('smoothing', () => {
  it('leaves the output energy of an unquantized Linear as it was', async () => {
    const gram = gramOf(correlatedInputs(200, 128, 7), 128);
    const weight = normals(20 * 128, 8);
    const scales = normals(128, 9).map((x) => Math.exp(x));
    const smoothed = weight.map((w, i) => w * scales[i % 128]!);
    const [before, after] = [
      await traceLoss(weight, gram, 128),
      await traceLoss(smoothed, smoothGram(gram, scales), 128),
    ];
    expect(after / before).toBeCloseTo(1, 5);
  });
});

describe('scaleLosses()', () => {
  const gram = gramOf(correlatedInputs(400, 128, 17), 128);
  const meanAbs = Float32Array.from({ length: 128 }, (_, j) => Math.sqrt(gram[j * 129]!) * 0.8);
  const weights = [normals(4096 * 128, 1), normals(4096 * 128, 2)].map((w) => w.map((x) => x * 0.03));
  const magnitude = createWeightMagnitude(128);
  for (const weight of weights) addWeightMagnitude(magnitude, weight, 4096, 128, SCHEME);
  const candidates = scaleCandidates(meanAbs, meanWeightMagnitude(magnitude), { grid: 20, duoScaling: true });
  const losses = (weight: Float32Array, rows: number) => {
    const statistics = { kind: 'gram' as const, gram };
    const linear = { weight, outFeatures: weight.length / 128, inFeatures: 128, statistics, lossWeight: 2, rows };
    return scaleLosses(candidates, linear, SCHEME, { signedScales: true }, 'BF16');
  };

  it('adds over Linears as over one Linear with all their rows', async () => {
    const [a, b] = [await losses(weights[0]!, 4096), await losses(weights[1]!, 4096)];
    const both = await losses(new Float32Array([...weights[0]!, ...weights[1]!]), 8192);
    for (const [c, loss] of both.entries()) expect((a[c]! + b[c]!) / loss).toBeCloseTo(1, 5);
  });

  it('chooses from sampled rows a candidate within 1 % of the exact best', async () => {
    const exact = [await losses(weights[0]!, 4096), await losses(weights[1]!, 4096)];
    const rows = rowsPerLinear(4096, 2, DEFAULT_SEARCH.rowBudget);
    const sampled = [await losses(weights[0]!, 256), await losses(weights[1]!, rows)];
    const total = exact[0]!.map((loss, c) => loss + exact[1]![c]!);
    const chosen = chooseScales(
      candidates,
      sampled[0]!.map((loss, c) => loss + sampled[1]![c]!),
    );
    const index = candidates.findIndex(({ scales }) => scales === chosen.scales);
    expect(total[index]! / Math.min(...total)).toBeLessThan(1.01);
    expect(chooseScales(candidates, total).ratio).not.toBeNull();
  });

  it('keeps the identity when all candidates tie or nothing is finite', () => {
    expect(chooseScales(candidates, new Float64Array(20)).ratio).toBeNull();
    expect(chooseScales(candidates, new Float64Array(20).fill(NaN)).ratio).toBeNull();
  });

  it('gives positive, finite scales for dead channels', () => {
    for (const { scales } of scaleCandidates(new Float32Array(4), new Float32Array(4), {
      grid: 20,
      duoScaling: true,
    })) {
      for (const scale of scales) expect(scale > 0 && Number.isFinite(scale)).toBe(true);
    }
  });

  it('spreads the row budget over an edge', () => {
    expect(rowsPerLinear(768, 256, 4096)).toBe(16);
    expect(rowsPerLinear(768, 2, 4096)).toBe(768);
    expect(rowsPerLinear(8, 1000, 4096)).toBe(8);
    expect(rowsPerLinear(8, 3, Infinity)).toBe(8);
  });
});

function addAll(parts: readonly (readonly number[])[]): number[] {
  return parts.reduce<number[]>((sum, part) => sum.map((x, i) => Math.fround(x + part[i]!)), [0, 0, 0, 0]);
}
