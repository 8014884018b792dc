import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { traceLoss } from '../../src/awq/loss.js';
import { prepareGram, quantizeWeight } from '../../src/awq/quantize-weight.js';
import { chooseScales, scaleCandidates } from '../../src/awq/scale-candidates.js';
import { scaleLosses } from '../../src/awq/scale-search.js';
import type { Scheme } from '../../src/awq/scheme.js';
import { DEFAULT_ROUNDING, ROUND_TO_NEAREST, type RoundingSettings } from '../../src/awq/settings.js';
import { addWeightMagnitude, createWeightMagnitude, meanWeightMagnitude } from '../../src/awq/statistics.js';
import { dequantize, gramOf, subtract } from './fixtures.js';

interface RoundToNearest {
  readonly scales: number[];
  readonly zeroPoints: number[] | null;
  readonly codes: number[];
}

interface Oracle {
  readonly out: number;
  readonly in: number;
  readonly group: number;
  readonly weight: number[];
  readonly inputs: number[];
  readonly singularTokens: number;
  readonly gptq: { readonly scales: number[] } & Record<'full' | 'singular', { codes: number[]; loss: number }>;
  readonly rtn: { readonly symmetric: RoundToNearest; readonly asymmetric: RoundToNearest };
  readonly search: Record<'duo' | 'activations', { candidates: number[][]; losses: number[] }>;
}

// Made by oracle.py.
const oracle: Oracle = JSON.parse(gunzipSync(readFileSync(new URL('oracle.json.gz', import.meta.url))).toString());
const weight = Float32Array.from(oracle.weight);
const inputs = Float32Array.from(oracle.inputs);
const shape = { outFeatures: oracle.out, inFeatures: oracle.in };

async function run(settings: RoundingSettings, gram: Float32Array, symmetric = true) {
  const scheme: Scheme = { bits: 4, symmetric, groupSize: oracle.group };
  const prepared = await prepareGram(gram, oracle.in, settings);
  return quantizeWeight({ weight, ...shape, prepared, scheme, settings, scaleDtype: 'BF16' });
}

/** Share of equal elements: a tie that f32 and f64 break differently changes a code, and the row's later ones. */
function agreement(a: ArrayLike<number>, b: ArrayLike<number>): number {
  return Array.from(a).filter((value, i) => value === b[i]).length / b.length;
}

describe('ROUND_TO_NEAREST', () => {
  it.each(['symmetric', 'asymmetric'] as const)("equals compressed-tensors' own, %s", async (kind) => {
    const { quantized } = await run(ROUND_TO_NEAREST, gramOf(inputs, oracle.in), kind === 'symmetric');
    const want = oracle.rtn[kind];
    expect([...quantized.scales]).toEqual(want.scales);
    // compressed-tensors derives the zero point from the scale before rounding, we from the one that is stored.
    if (want.zeroPoints !== null) expect(agreement(quantized.zeroPoints!, want.zeroPoints)).toBeGreaterThan(0.98);
    expect(agreement(quantized.codes, want.codes)).toBeGreaterThan(kind === 'symmetric' ? 0.9999 : 0.98);
  });
});

describe('error feedback', () => {
  it.each(['full', 'singular'] as const)('finds the codes of GPTQ by the inverse Hessian, %s Gram', async (kind) => {
    const x = kind === 'full' ? inputs : inputs.subarray(0, oracle.singularTokens * oracle.in);
    const gram = gramOf(x, oracle.in);
    const { quantized, loss } = await run({ ...DEFAULT_ROUNDING, clip: false, refit: false, descentSweeps: 0 }, gram);
    expect([...quantized.scales]).toEqual(oracle.gptq.scales);
    expect(agreement(quantized.codes, oracle.gptq[kind].codes)).toBeGreaterThan(0.99);
    expect(loss / oracle.gptq[kind].loss).toBeCloseTo(1, 1);
    const exact = await traceLoss(subtract(dequantize(quantized), weight), gram, oracle.in);
    expect(loss / exact).toBeCloseTo(1, 3);
  });
});

describe('scale search', () => {
  it.each(['duo', 'activations'] as const)(
    'finds the losses of running the Linear for every candidate, %s',
    async (kind) => {
      const scheme: Scheme = { bits: 4, symmetric: true, groupSize: oracle.group };
      const magnitude = createWeightMagnitude(oracle.in);
      addWeightMagnitude(magnitude, weight, oracle.out, oracle.in, scheme);
      const meanAbs = Float32Array.from({ length: oracle.in }, (_, j) => {
        let sum = 0;
        for (let at = j; at < inputs.length; at += oracle.in) sum += Math.abs(inputs[at]!);
        return (sum * oracle.in) / inputs.length;
      });
      const settings = { grid: 20, duoScaling: kind === 'duo', signedScales: false };
      const candidates = scaleCandidates(meanAbs, meanWeightMagnitude(magnitude), settings);
      const want = oracle.search[kind];
      expect(candidates).toHaveLength(want.candidates.length);
      for (const [c, { scales }] of candidates.entries()) {
        for (const [j, scale] of scales.entries()) expect(scale / want.candidates[c]![j]!).toBeCloseTo(1, 4);
      }
      for (const statistics of [
        { kind: 'gram' as const, gram: gramOf(inputs, oracle.in) },
        { kind: 'sketch' as const, sketch: inputs.map((x) => x / Math.sqrt(400)), rows: 400 },
      ]) {
        const linear = { weight, ...shape, statistics, lossWeight: 1, rows: oracle.out };
        const losses = await scaleLosses(candidates, linear, scheme, settings, 'BF16');
        for (const [c, loss] of losses.entries()) expect(loss / want.losses[c]!).toBeCloseTo(1, 2);
        expect(chooseScales(candidates, losses).loss).toBe(Math.min(...losses));
        const best = want.losses.indexOf(Math.min(...want.losses));
        expect(chooseScales(candidates, losses).scales).toBe(candidates[best]!.scales);
      }
    },
  );
});
