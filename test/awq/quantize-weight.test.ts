import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../src/errors.js';
import { traceLoss } from '../../src/awq/loss.js';
import { prepareGram, quantizeWeight, type QuantizedWeight } from '../../src/awq/quantize-weight.js';
import type { Scheme } from '../../src/awq/scheme.js';
import { DEFAULT_ROUNDING, ROUND_TO_NEAREST, type RoundingSettings } from '../../src/awq/settings.js';
import { correlatedInputs, dequantize, gramOf, normals, outputEnergy, subtract } from './fixtures.js';

const SYMMETRIC: Scheme = { bits: 4, symmetric: true, groupSize: 32 };
const SCHEMES: Scheme[] = [
  SYMMETRIC,
  { bits: 4, symmetric: false, groupSize: 32 },
  { bits: 4, symmetric: true, groupSize: 64 },
  { bits: 4, symmetric: false, groupSize: 128 },
  { bits: 4, symmetric: true, groupSize: 'channel' },
  { bits: 8, symmetric: true, groupSize: 64 },
  { bits: 8, symmetric: false, groupSize: 'channel' },
];

interface Case {
  readonly weight: Float32Array;
  readonly out: number;
  readonly channels: number;
  readonly gram: Float32Array | null;
}

async function run(
  { weight, out, channels, gram }: Case,
  settings: Partial<RoundingSettings> = {},
  scheme = SYMMETRIC,
  scaleDtype: 'BF16' | 'F16' = 'BF16',
): Promise<QuantizedWeight> {
  const all = { ...DEFAULT_ROUNDING, ...settings };
  const prepared = gram === null ? null : await prepareGram(gram, channels, all);
  const job = { weight, outFeatures: out, inFeatures: channels, prepared, scheme, settings: all, scaleDtype };
  return quantizeWeight(job);
}

function example(
  out: number,
  channels: number,
  tokens: number,
  seed: number,
): Case & { readonly inputs: Float32Array } {
  const inputs = correlatedInputs(tokens, channels, seed);
  const weight = normals(out * channels, seed + 9).map((value) => value * 0.05);
  return { weight, out, channels, inputs, gram: gramOf(inputs, channels) };
}

describe('quantizeWeight()', () => {
  it.each(SCHEMES)('reports the loss that running the Linear gives, with %o', async (scheme) => {
    const job = example(41, 256, 500, 3);
    const { quantized, loss, signalEnergy, relativeError } = await run(job, {}, scheme);
    const delta = subtract(dequantize(quantized), job.weight);
    const signal = outputEnergy(job.weight, job.inputs, job.channels);
    expect(loss / outputEnergy(delta, job.inputs, job.channels)).toBeCloseTo(1, 2);
    expect(signalEnergy / signal).toBeCloseTo(1, 4);
    expect(relativeError).toBeCloseTo(Math.sqrt(loss / signal), 4);
  });

  it.each(SCHEMES)('loses less with each pass that is switched on, with %o', async (scheme) => {
    const steps: Partial<RoundingSettings>[] = [
      { ...ROUND_TO_NEAREST, signedScales: true },
      { ...ROUND_TO_NEAREST, signedScales: true, clip: true },
      { refit: false, descentSweeps: 0 },
      { refit: true, descentSweeps: 0 },
      { descentSweeps: 1 },
      { descentSweeps: 4 },
    ];
    const losses: number[] = [];
    for (const settings of steps) losses.push((await run(example(48, 256, 700, 5), settings, scheme)).loss);
    for (let i = 1; i < losses.length; i++) expect(losses[i]).toBeLessThanOrEqual(losses[i - 1]! * 1.0001);
    expect(losses[2]).toBeLessThan(losses[0]! * 0.7);
  });

  it('loses less with signed scales than with positive ones', async () => {
    const job = example(64, 256, 600, 11);
    const signed = await run(job, { ...ROUND_TO_NEAREST, signedScales: true });
    const positive = await run(job, ROUND_TO_NEAREST);
    expect(signed.loss).toBeLessThan(positive.loss);
    expect(Math.min(...signed.quantized.scales)).toBeLessThan(0);
    expect(Math.min(...positive.quantized.scales)).toBeGreaterThan(0);
  });

  it('never raises the loss by refitting or descending, on any Gram', async () => {
    const cases = fc.record({
      seed: fc.integer({ min: 1, max: 1e6 }),
      tokens: fc.integer({ min: 1, max: 90 }),
      channels: fc.constantFrom(32, 64, 96, 160),
      out: fc.integer({ min: 1, max: 20 }),
      symmetric: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ seed, tokens, channels, out, symmetric }) => {
        const job = example(out, channels, tokens, seed);
        const scheme: Scheme = { bits: 4, symmetric, groupSize: 32 };
        const exact = async (settings: Partial<RoundingSettings>) => {
          const { quantized } = await run(job, settings, scheme);
          return traceLoss(subtract(dequantize(quantized), job.weight), job.gram!, channels);
        };
        const before = await exact({ refit: false, descentSweeps: 0 });
        const refitted = await exact({ refit: true, descentSweeps: 0 });
        const descended = await exact({ refit: true, descentSweeps: 3 });
        const slack = 1e-4 * before + 1e-9;
        expect(refitted).toBeLessThanOrEqual(before + slack);
        expect(descended).toBeLessThanOrEqual(before + slack);
      }),
      { numRuns: 40, seed: 1 },
    );
  });

  it.each(SCHEMES)('keeps codes and scales legal on hostile weights, with %o', async (scheme) => {
    const [low, high] = scheme.bits === 4 ? ([-8, 7] as const) : ([-128, 127] as const);
    const channels = 128;
    const rows = [
      new Float32Array(channels),
      new Float32Array(channels).fill(3e38),
      new Float32Array(channels).map((_, i) => (i % 2 === 0 ? 3e38 : -3e38)),
      new Float32Array(channels).fill(1e-44),
      new Float32Array(channels).map((_, i) => (i === 70 ? 1e6 : 1e-6)),
      new Float32Array(channels).map((_, i) => (i === 0 ? -1e-38 : 0)),
      normals(channels, 4),
      new Float32Array(channels).fill(-0.3),
    ];
    const weight = new Float32Array(rows.flatMap((row) => [...row]));
    const gram = gramOf(correlatedInputs(300, channels, 8), channels);
    for (const dtype of ['BF16', 'F16'] as const) {
      for (const settings of [DEFAULT_ROUNDING, ROUND_TO_NEAREST]) {
        const { quantized } = await run({ weight, out: rows.length, channels, gram }, settings, scheme, dtype);
        for (const code of quantized.codes) if (code < low || code > high) expect.fail(`code ${code}`);
        for (const scale of quantized.scales) if (!Number.isFinite(scale) || scale === 0) expect.fail(`scale ${scale}`);
        for (const zero of quantized.zeroPoints ?? []) if (zero < low || zero > high) expect.fail(`zero ${zero}`);
      }
    }
  });

  it('rejects NaN and infinity in weights and statistics', async () => {
    const job = example(4, 64, 50, 2);
    for (const bad of [NaN, Infinity, -Infinity]) {
      await expect(run({ ...job, weight: job.weight.with(7, bad) })).rejects.toThrow(InputError);
      await expect(run({ ...job, gram: job.gram!.with(7, bad) })).rejects.toThrow(InputError);
    }
  });

  it('rejects groups that do not divide the inputs', async () => {
    const scheme: Scheme = { bits: 4, symmetric: true, groupSize: 48 };
    await expect(run(example(4, 64, 50, 2), {}, scheme)).rejects.toThrow(/groups of 48/u);
  });

  it.each([1, 5, 40])('stays sound with a Gram of rank %i', async (tokens) => {
    const job = example(24, 192, tokens, 21);
    const nearest = await run(job, ROUND_TO_NEAREST);
    const { loss, quantized } = await run(job);
    expect(loss).toBeLessThan(nearest.loss * 0.25);
    expect(await traceLoss(subtract(dequantize(quantized), job.weight), job.gram!, 192)).toBeLessThan(
      nearest.loss * 0.25,
    );
    // Directions that no token took must not be given up: the plain error of the weights stays near rounding's own.
    const [plain, base] = [quantized, nearest.quantized].map((q) => energy(subtract(dequantize(q), job.weight)));
    expect(plain).toBeLessThan(base! * 4);
  });

  it('quantizes without statistics, and with a Gram of zeros, no worse than round-to-nearest', async () => {
    const job = example(24, 128, 10, 31);
    const nearest = energy(subtract(dequantize((await run(job, ROUND_TO_NEAREST)).quantized), job.weight));
    for (const gram of [null, new Float32Array(128 * 128)]) {
      const { quantized } = await run({ ...job, gram });
      expect(energy(subtract(dequantize(quantized), job.weight))).toBeLessThan(nearest);
    }
  });

  it('gives identical results when repeated, and for rows quantized apart', async () => {
    const job = example(600, 64, 200, 41);
    const [first, second] = [await run(job), await run(job)];
    expect(second).toEqual(first);
    const part = await run({ ...job, weight: job.weight.subarray(0, 512 * 64), out: 512 });
    expect(part.quantized.codes).toEqual(first.quantized.codes.subarray(0, 512 * 64));
  });

  it('gives scales that the dtype holds exactly', async () => {
    const job = example(16, 128, 200, 51);
    const bf16 = (await run(job)).quantized.scales;
    for (const bits of new Uint32Array(bf16.buffer)) expect(bits & 0xffff).toBe(0);
    const small = { ...job, weight: job.weight.map((value) => value * 1e-5) };
    for (const scale of (await run(small, {}, SYMMETRIC, 'F16')).quantized.scales) {
      expect(Number.isInteger(scale * 2 ** 24)).toBe(true);
    }
  });
});

function energy(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}
