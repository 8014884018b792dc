import { describe, expect, it } from 'vitest';
import { divideByGram, followDrift, inputDrift, repayResidual } from '../../src/awq/drift.js';
import { factorGram } from '../../src/awq/gram-factor.js';
import { gemm } from '../../src/runtime/matrix.js';
import { correlatedInputs, gramOf, normals, outputEnergy, subtract } from './fixtures.js';

const CHANNELS = 200;
const TOKENS = 3000;
const clean = correlatedInputs(TOKENS, CHANNELS, 3);
// Drift with a part that the inputs explain and a part that they do not.
const mixing = normals(CHANNELS * CHANNELS, 9).map((value, i) => (i % (CHANNELS + 1) === 0 ? 1 : value * 0.02));
const noise = normals(TOKENS * CHANNELS, 10);
const drifted = (await gemm(clean, mixing, { m: TOKENS, n: CHANNELS, k: CHANNELS })).map((x, i) => x + 0.1 * noise[i]!);
const statistics = { gram: gramOf(drifted, CHANNELS), inFeatures: CHANNELS, tokens: TOKENS };
const trusting = { ridge: 1e-3, halfTrust: 0 };

function mean(a: Float32Array, width: number, b: Float32Array): Promise<Float32Array> {
  return gemm(a, b, { m: width, n: CHANNELS, k: TOKENS }, { transA: true, alpha: 1 / TOKENS });
}

/** Mean over tokens of ‖W·x − T·x̂‖². */
async function missed(weight: Float32Array, target: Float32Array): Promise<number> {
  const shape = { m: TOKENS, n: weight.length / CHANNELS, k: CHANNELS };
  const [want, got] = [
    await gemm(clean, weight, shape, { transB: true }),
    await gemm(drifted, target, shape, { transB: true }),
  ];
  return subtract(want, got).reduce((sum, e) => sum + e * e, 0) / TOKENS;
}

describe('divideByGram()', () => {
  it.each(['stored', 'diagonal'] as const)('undoes a product with the damped Gram, %s order', async (columnOrder) => {
    const factor = (await factorGram(statistics.gram, CHANNELS, { damping: 0.01, columnOrder }))!;
    const damped = statistics.gram.map((value, i) => (i % (CHANNELS + 1) === 0 ? value + factor.added : value));
    const x = normals(7 * CHANNELS, 5);
    const product = await gemm(x, damped, { m: 7, n: CHANNELS, k: CHANNELS });
    for (const [i, value] of (await divideByGram(factor, product)).entries()) expect(value).toBeCloseTo(x[i]!, 2);
  });
});

describe('drift of the inputs', () => {
  const weight = normals(30 * CHANNELS, 21);
  it('is followed by a target that does on the drifted inputs what the weight did on the clean ones', async () => {
    const cross = await mean(subtract(clean, drifted), CHANNELS, drifted);
    const target = await followDrift(weight, await inputDrift(statistics, cross, trusting), CHANNELS);
    expect(await missed(weight, target)).toBeLessThan(0.35 * (await missed(weight, weight)));
  });

  it('is paid back by the same target when the residual is its only cause', async () => {
    const shape = { m: TOKENS, n: 30, k: CHANNELS };
    const residual = await gemm(subtract(clean, drifted), weight, shape, { transB: true });
    const target = await repayResidual(weight, statistics, await mean(residual, 30, drifted), trusting);
    expect(await missed(weight, target)).toBeLessThan(0.35 * (await missed(weight, weight)));
  });

  it('changes nothing without drift, without tokens, or with a Gram of zeros', async () => {
    const zero = new Float32Array(CHANNELS * CHANNELS);
    expect(await followDrift(weight, await inputDrift(statistics, zero), CHANNELS)).toEqual(weight);
    const cross = normals(30 * CHANNELS, 4);
    expect(await repayResidual(weight, { ...statistics, tokens: 0 }, cross)).toEqual(weight);
    expect(await repayResidual(weight, { ...statistics, gram: zero }, cross)).toEqual(weight);
  });

  it('is followed less by default, and less still with fewer tokens', async () => {
    const cross = await mean(subtract(clean, drifted), CHANNELS, drifted);
    const size = async (tokens: number) => {
      const target = await followDrift(weight, await inputDrift({ ...statistics, tokens }, cross), CHANNELS);
      return outputEnergy(subtract(target, weight), drifted.subarray(0, 100 * CHANNELS), CHANNELS);
    };
    expect(await size(1000)).toBeLessThan(0.1 * (await size(1e6)));
  });
});
