import { describe, expect, it } from 'vitest';
import { createBlockContext } from '../../src/graph/context.js';
import { gatedDeltaRule } from '../../src/graph/gated-delta-rule.js';
import { createSessionCache } from '../../src/runtime/sessions.js';

interface Sizes {
  readonly batch: number;
  readonly length: number;
  readonly keyHeads: number;
  readonly valueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
}

/** Channels first, as the convolution leaves them. */
interface Operands {
  readonly query: Float32Array;
  readonly key: Float32Array;
  readonly value: Float32Array;
  readonly beta: Float32Array;
  readonly logDecay: Float32Array;
}

const sessions = createSessionCache();

async function chunkwise(sizes: Sizes, operands: Operands): Promise<Float32Array> {
  const { batch, length, keyHeads, valueHeads, keyDim, valueDim } = sizes;
  const context = createBlockContext(new Set());
  const { graph } = context;
  const query = graph.input('query', 3);
  const shape = graph.node('Shape', [query]);
  const out = gatedDeltaRule(context, sizes, {
    query,
    key: graph.input('key', 3),
    value: graph.input('value', 3),
    beta: graph.input('beta', 3),
    logDecay: graph.input('logDecay', 3),
    length: graph.node('Slice', [shape, graph.integers([2]), graph.integers([3])]),
  });
  graph.output('out', out);
  const { out: result } = await sessions.run(context, {
    query: { data: operands.query, shape: [batch, keyHeads * keyDim, length] },
    key: { data: operands.key, shape: [batch, keyHeads * keyDim, length] },
    value: { data: operands.value, shape: [batch, valueHeads * valueDim, length] },
    beta: { data: operands.beta, shape: [batch, length, valueHeads] },
    logDecay: { data: operands.logDecay, shape: [batch, length, valueHeads] },
  });
  return result!;
}

/** The rule token by token, as the paper writes it, in f64: [batch, length, valueHeads, valueDim]. */
function tokenwise(sizes: Sizes, operands: Operands): Float64Array {
  const { batch, length, keyHeads, valueHeads, keyDim, valueDim } = sizes;
  const repeat = valueHeads / keyHeads;
  const out = new Float64Array(batch * length * valueHeads * valueDim);
  for (let b = 0; b < batch; b++) {
    for (let head = 0; head < valueHeads; head++) {
      const state = new Float64Array(keyDim * valueDim);
      const keyHead = Math.floor(head / repeat);
      const column = (x: Float32Array, heads: number, h: number, dim: number, token: number): number[] =>
        Array.from({ length: dim }, (_, d) => x[((b * heads + h) * dim + d) * length + token]!);
      for (let token = 0; token < length; token++) {
        const at = (b * length + token) * valueHeads + head;
        const query = unit(column(operands.query, keyHeads, keyHead, keyDim, token)).map((x) => x / Math.sqrt(keyDim));
        const key = unit(column(operands.key, keyHeads, keyHead, keyDim, token));
        const value = column(operands.value, valueHeads, head, valueDim, token);
        const decay = Math.exp(operands.logDecay[at]!);
        for (let i = 0; i < state.length; i++) state[i]! *= decay;
        for (let d = 0; d < valueDim; d++) {
          const known = key.reduce((sum, k, i) => sum + k * state[i * valueDim + d]!, 0);
          const change = operands.beta[at]! * (value[d]! - known);
          for (let i = 0; i < keyDim; i++) state[i * valueDim + d]! += key[i]! * change;
          out[at * valueDim + d] = query.reduce((sum, q, i) => sum + q * state[i * valueDim + d]!, 0);
        }
      }
    }
  }
  return out;
}

function unit(x: readonly number[]): number[] {
  const norm = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) + 1e-6);
  return x.map((value) => value / norm);
}

function noise(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    return (state >>> 0) / 2 ** 31 - 1;
  };
}

function fill(count: number, next: () => number): Float32Array {
  return Float32Array.from({ length: count }, next);
}

function randomOperands(
  sizes: Sizes,
  { beta = () => 0.5, logDecay = () => -0.1 }: { readonly beta?: () => number; readonly logDecay?: () => number } = {},
): Operands {
  const { batch, length, keyHeads, valueHeads, keyDim, valueDim } = sizes;
  const random = noise(length);
  return {
    query: fill(batch * length * keyHeads * keyDim, random),
    key: fill(batch * length * keyHeads * keyDim, random),
    value: fill(batch * length * valueHeads * valueDim, random),
    beta: fill(batch * length * valueHeads, beta),
    logDecay: fill(batch * length * valueHeads, logDecay),
  };
}

async function expectExact(sizes: Sizes, operands: Operands, tolerance = 1e-5): Promise<void> {
  const wanted = tokenwise(sizes, operands);
  const got = await chunkwise(sizes, operands);
  expect(got).toHaveLength(wanted.length);
  const magnitude = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const error = wanted.reduce((most, x, i) => Math.max(most, Math.abs(x - got[i]!)), 0);
  expect(error / magnitude).toBeLessThan(tolerance);
}

const SIZES: Sizes = { batch: 2, length: 100, keyHeads: 2, valueHeads: 4, keyDim: 16, valueDim: 8 };

describe('the gated delta rule in chunks', () => {
  it.each([1, 2, 31, 32, 33, 64, 65, 200])('equals the recurrence over %i tokens', async (length) => {
    const random = noise(7);
    const sizes = { ...SIZES, length };
    const draws = { beta: () => (random() + 1) / 2, logDecay: () => -2 * (random() + 1) };
    await expectExact(sizes, randomOperands(sizes, draws));
  });

  it.each([1, 3])('shares each key head among %i value heads', async (repeat) => {
    const sizes = { ...SIZES, keyHeads: 3, valueHeads: 3 * repeat };
    await expectExact(sizes, randomOperands(sizes));
  });

  it('stays exact where one key is written again and again, and powers of the system would explode', async () => {
    const operands = randomOperands(SIZES, { beta: () => 0.999, logDecay: () => -1e-4 });
    const { length } = SIZES;
    const constant = operands.key.map((_, i) => operands.key[i - (i % length)]!);
    await expectExact(SIZES, { ...operands, key: constant });
  });

  it('forgets without overflow under a decay that no f32 exponential survives', async () => {
    await expectExact(SIZES, randomOperands(SIZES, { logDecay: () => -60 }));
  });

  it('gives a sequence the same output whatever stands behind it', async () => {
    const operands = randomOperands({ ...SIZES, batch: 1 });
    const { length } = SIZES;
    const half = length / 2;
    const head = (x: Float32Array): Float32Array => x.filter((_, i) => i % length < half);
    const short: Operands = {
      query: head(operands.query),
      key: head(operands.key),
      value: head(operands.value),
      beta: operands.beta.slice(0, half * SIZES.valueHeads),
      logDecay: operands.logDecay.slice(0, half * SIZES.valueHeads),
    };
    const whole = await chunkwise({ ...SIZES, batch: 1 }, operands);
    const part = await chunkwise({ ...SIZES, batch: 1, length: half }, short);
    part.forEach((value, i) => expect(value).toBeCloseTo(whole[i]!, 6));
  });
});
