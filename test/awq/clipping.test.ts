import { expect, it } from 'vitest';
import { dequantize } from '../../src/awq/output-error.js';
import { prepareGram, quantizeWeight } from '../../src/awq/quantize-weight.js';
import { ROUND_TO_NEAREST } from '../../src/awq/settings.js';
import { correlatedInputs, gramOf, normals } from './fixtures.js';

const [ROWS, WIDTH, HALF] = [40, 128, 8];
/** Shares of the range, the same at both ends. */
const GRID = Array.from({ length: 14 }, (_, i) => 0.45 + i * 0.05);

/** Deviates of Student's t: a normal one over the root mean square of as many others. */
function studentT(length: number, freedom: number, seed: number): Float32Array {
  const parts = normals(length * (freedom + 1), seed);
  return Float32Array.from({ length }, (_, i) => {
    const [first, ...others] = parts.subarray(i * (freedom + 1), (i + 1) * (freedom + 1));
    return first! / Math.sqrt(others.reduce((sum, x) => sum + x * x, 0) / freedom);
  });
}

const WEIGHTS = {
  normal: normals(ROWS * WIDTH, 5),
  t8: studentT(ROWS * WIDTH, 8, 6),
  t3: studentT(ROWS * WIDTH, 3, 7),
};
const gram = gramOf(correlatedInputs(600, WIDTH, 11), WIDTH);
const settings = { ...ROUND_TO_NEAREST, signedScales: true, clip: true };

it.each(
  Object.entries(WEIGHTS).flatMap(([name, weight]) => [true, false].map((symmetric) => ({ name, weight, symmetric }))),
)(
  'clipping loses at most 2 % more than the best of all shares: $name, symmetric $symmetric',
  { timeout: 60_000 },
  async ({ weight, symmetric }) => {
    const { quantized } = await quantizeWeight({
      weight,
      outFeatures: ROWS,
      inFeatures: WIDTH,
      prepared: await prepareGram(gram, WIDTH, settings),
      scheme: { bits: 4, symmetric, groupSize: WIDTH },
      settings,
      scaleDtype: 'BF16',
    });
    const values = dequantize(quantized);
    let [found, best] = [0, 0];
    for (let row = 0; row < ROWS; row++) {
      const w = weight.subarray(row * WIDTH, (row + 1) * WIDTH);
      found += loss(values.subarray(row * WIDTH, (row + 1) * WIDTH), w);
      best += Math.min(...GRID.map((share) => loss(symmetric ? signed(w, share) : asymmetric(w, share), w)));
    }
    expect(found / best).toBeLessThan(1.02);
  },
);

/** δGδᵀ */
function loss(values: Float32Array, w: Float32Array): number {
  const delta = values.map((value, i) => value - w[i]!);
  let total = 0;
  for (let i = 0; i < WIDTH; i++) {
    let sum = 0;
    for (let j = 0; j < WIDTH; j++) sum += gram[i * WIDTH + j]! * delta[j]!;
    total += delta[i]! * sum;
  }
  return total;
}

function signed(w: Float32Array, share: number): Float32Array {
  const largest = w.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  const scale = bfloat16((share * largest) / -HALF);
  return w.map((value) => scale * clamp(Math.round(value / scale), -HALF, HALF - 1));
}

function asymmetric(w: Float32Array, share: number): Float32Array {
  const [least, most] = [share * Math.min(0, ...w), share * Math.max(0, ...w)];
  const scale = bfloat16((most - least) / (2 * HALF - 1));
  const zero = clamp(Math.round(-least / scale), 0, 2 * HALF - 1);
  return w.map((value) => scale * (clamp(Math.round(value / scale) + zero, 0, 2 * HALF - 1) - zero));
}

function clamp(value: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, value));
}

function bfloat16(value: number): number {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0] = (bits[0]! + 0x7fff + ((bits[0]! >>> 16) & 1)) & 0xffff0000;
  return new Float32Array(bits.buffer)[0]!;
}
