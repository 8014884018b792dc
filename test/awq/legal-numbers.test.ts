import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { prepareGram, quantizeWeight } from '../../src/awq/quantize-weight.js';
import type { Scheme } from '../../src/awq/scheme.js';
import { DEFAULT_ROUNDING, ROUND_TO_NEAREST } from '../../src/awq/settings.js';
import { autoawq } from '../../src/checkpoint/autoawq.js';
import { compressedTensors } from '../../src/checkpoint/compressed-tensors.js';
import { decodeHalf } from '../../src/checkpoint/half.js';
import { correlatedInputs, gramOf } from './fixtures.js';

const CHANNELS = 64;

/** Finite weights of any size: ordinary ones, bit patterns at random, rows of one sign, of zeros, of a single spike. */
const weights = fc.array(
  fc.oneof(
    fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: CHANNELS, maxLength: CHANNELS }),
    fc.array(fc.float({ noNaN: true, min: -1, max: 1 }), { minLength: CHANNELS, maxLength: CHANNELS }),
    fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => Array.from({ length: CHANNELS }, () => value)),
    fc
      .tuple(fc.nat(CHANNELS - 1), fc.float({ noNaN: true, noDefaultInfinity: true }))
      .map(([at, value]) => Array.from({ length: CHANNELS }, (_, i) => (i === at ? value : 0))),
  ),
  { minLength: 8, maxLength: 8 },
);

const jobs = fc.record({
  weights,
  bits: fc.constantFrom(4 as const, 8 as const),
  symmetric: fc.boolean(),
  groupSize: fc.constantFrom(32, 64, 'channel' as const),
  scaleDtype: fc.constantFrom('BF16' as const, 'F16' as const),
  calibrated: fc.boolean(),
  settings: fc.constantFrom(
    DEFAULT_ROUNDING,
    { ...DEFAULT_ROUNDING, signedScales: false, descentSweeps: 4 },
    { ...ROUND_TO_NEAREST, clip: true },
    ROUND_TO_NEAREST,
  ),
});

test('whatever the weights, codes, zero points and scales are such that a format holds them', async () => {
  const gram = gramOf(correlatedInputs(40, CHANNELS, 8), CHANNELS);
  await fc.assert(
    fc.asyncProperty(jobs, async ({ weights: rows, bits, symmetric, groupSize, scaleDtype, calibrated, settings }) => {
      const scheme: Scheme = { bits, symmetric, groupSize };
      const { quantized } = await quantizeWeight({
        weight: Float32Array.from(rows.flat()),
        outFeatures: rows.length,
        inFeatures: CHANNELS,
        prepared: calibrated ? await prepareGram(gram, CHANNELS, settings) : null,
        scheme,
        settings,
        scaleDtype,
      });
      const half = 2 ** (bits - 1);
      const inRange = (code: number): boolean => code >= -half && code < half;
      expect(quantized.codes.every(inRange)).toBe(true);
      expect((quantized.zeroPoints ?? new Int8Array(0)).every(inRange)).toBe(true);
      expect(quantized.scales.every((scale) => scale !== 0 && Number.isFinite(scale))).toBe(true);
      // Packing refuses every number that its format cannot hold.
      const [, scales] = compressedTensors.pack('m', quantized);
      expect(decodeHalf(new Uint16Array(scales!.bytes.slice().buffer), scaleDtype)).toEqual(quantized.scales);
      // AutoAWQ's f16 ends at 65,504: a model with such weights does not run in it either way.
      const fits = quantized.scales.every((scale) => Math.abs(scale) < 65_504);
      if (bits === 4 && fits) expect(() => autoawq.pack('m', quantized)).not.toThrow();
    }),
    { numRuns: 300, seed: 11 },
  );
});
