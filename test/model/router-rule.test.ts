import * as fc from 'fast-check';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, openSafetensors } from '../../src/checkpoint/open.js';
import { planModel } from '../../src/model/registry.js';
import { route, type RouterRule } from '../../src/model/router-rule.js';
import { FOLDERS } from './folders.js';

const softmax: RouterRule = { kind: 'softmax', normalize: false, scale: 1, groups: null };
const sigmoid: RouterRule = {
  kind: 'sigmoid',
  correctionBias: null,
  normalize: false,
  normalizeEpsilon: 0,
  scale: 1,
  groups: null,
};

function routeOne(rule: RouterRule, logits: readonly number[], topK: number, bias: readonly number[] | null = null) {
  const { chosen, weights } = route(
    rule,
    Float32Array.from(logits),
    logits.length,
    topK,
    bias === null ? null : Float32Array.from(bias),
  );
  return { chosen: [...chosen], weights: [...weights] };
}

function expectWeights(got: readonly number[], wanted: readonly number[]): void {
  expect(got).toHaveLength(wanted.length);
  wanted.forEach((weight, i) => expect(got[i]).toBeCloseTo(weight, 6));
}

const LN2 = Math.log(2);

function logit(p: number): number {
  return Math.log(p / (1 - p));
}

describe('softmax', () => {
  it('weighs the chosen by their share of all', () => {
    const { chosen, weights } = routeOne(softmax, [0, 2 * LN2, LN2, 0], 2);
    expect(chosen).toEqual([1, 2]);
    expectWeights(weights, [4 / 8, 2 / 8]);
  });

  it('renormalizes to one, then scales', () => {
    const { weights } = routeOne({ ...softmax, normalize: true, scale: 3 }, [0, 2 * LN2, LN2, 0], 2);
    expectWeights(weights, [2, 1]);
  });

  it('chooses within the best groups, a group scoring its best expert', () => {
    const groups = { count: 2, keep: 1, top: 1 } as const;
    expect(routeOne({ ...softmax, groups }, [0, 3, 2, 2.9], 2).chosen).toEqual([1, 0]);
  });

  it('survives logits whose exponentials overflow', () => {
    expectWeights(routeOne(softmax, [1000, 1000, -1000, 0], 2).weights, [0.5, 0.5]);
  });
});

describe('softmax of the chosen', () => {
  it('sums to one over the chosen alone', () => {
    const { chosen, weights } = routeOne({ kind: 'softmax-of-chosen' }, [5, LN2, -9, 5 + LN2], 2);
    expect(chosen).toEqual([3, 0]);
    expectWeights(weights, [2 / 3, 1 / 3]);
  });
});

describe('sigmoid', () => {
  it('lets the bias correct the choice and not the weight', () => {
    const rule: RouterRule = { ...sigmoid, correctionBias: 'bias' };
    const { chosen, weights } = routeOne(rule, [0.9, 0.5, 0.2].map(logit), 1, [0, 0, 1]);
    expect(chosen).toEqual([2]);
    expectWeights(weights, [0.2]);
  });

  it('chooses within the groups whose two best experts sum highest', () => {
    const groups = { count: 3, keep: 1, top: 2 } as const;
    const scores = [0.9, 0.1, 0.6, 0.55, 0.7, 0.2].map(logit);
    expect(routeOne({ ...sigmoid, groups }, scores, 2).chosen).toEqual([2, 3]);
  });

  it('never chooses outside its groups, however low the scores inside', () => {
    const groups = { count: 2, keep: 1, top: 2 } as const;
    const rule: RouterRule = { ...sigmoid, correctionBias: 'bias', groups };
    expect(routeOne(rule, [0, 0, 0, 0], 2, [-5, -6, -7, -8]).chosen).toEqual([0, 1]);
  });

  it('of the chosen leaves the other scores out', () => {
    const { chosen, weights } = routeOne({ kind: 'sigmoid-of-chosen' }, [0.2, 0.8, 0.5].map(logit), 2);
    expect(chosen).toEqual([1, 2]);
    expectWeights(weights, [0.8, 0.5]);
  });
});

describe('corrected softmax', () => {
  it('clamps the sum it divides by', () => {
    const rule: RouterRule = { kind: 'softmax-corrected', correctionBias: 'bias', minimumSum: 0.5 };
    const { chosen, weights } = routeOne(rule, [0, 0, 0, 0], 1, [0, 0, 1, 0]);
    expect(chosen).toEqual([2]);
    expectWeights(weights, [0.25 / 0.5]);
  });
});

describe('sparsemixer', () => {
  it('gives each expert its share among those near it', () => {
    const { chosen, weights } = routeOne({ kind: 'sparsemixer', jitter: 0.1 }, [1, 0.9, 0.75, 0.1], 2);
    expect(chosen).toEqual([0, 1]);
    // Near the first: 0.9 alone. Near the second: 0.75, as (0.9 − 0.75) / 0.9 < 0.2.
    expectWeights(weights, [1 / (1 + Math.exp(-0.1)), 1 / (1 + Math.exp(-0.15))]);
  });

  it('gives an expert with no other near it all the weight', () => {
    expectWeights(routeOne({ kind: 'sparsemixer', jitter: 0 }, [3, 1, 2, 0], 2).weights, [1, 1]);
  });

  it('finds scores of zero equal', () => {
    expectWeights(routeOne({ kind: 'sparsemixer', jitter: 0.01 }, [0, 0, 0, 0], 2).weights, [1 / 4, 1 / 3]);
  });
});

describe('any rule', () => {
  const rules: readonly RouterRule[] = [
    softmax,
    { ...softmax, normalize: true, groups: { count: 4, keep: 2, top: 1 } },
    { kind: 'softmax-of-chosen' },
    { ...sigmoid, normalize: true, groups: { count: 4, keep: 2, top: 2 } },
    { kind: 'sigmoid-of-chosen' },
    { kind: 'softmax-corrected', correctionBias: null, minimumSum: 1e-12 },
    { kind: 'sparsemixer', jitter: 0.01 },
  ];

  it('chooses distinct experts with finite weights, each token on its own', () => {
    const token = fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 8, maxLength: 8 });
    fc.assert(
      fc.property(fc.constantFrom(...rules), fc.array(token, { minLength: 1, maxLength: 5 }), (rule, tokens) => {
        const { chosen, weights } = route(rule, Float32Array.from(tokens.flat()), 8, 2, null);
        tokens.forEach((logits, t) => {
          const own = [chosen[2 * t]!, chosen[2 * t + 1]!];
          expect(own[0]).not.toBe(own[1]);
          expect([...weights.subarray(2 * t, 2 * t + 2)].every(Number.isFinite)).toBe(true);
          expect(routeOne(rule, logits, 2)).toEqual({ chosen: own, weights: [...weights.subarray(2 * t, 2 * t + 2)] });
        });
      }),
    );
  });

  it('resolves ties to the lower index', () => {
    for (const rule of rules) expect(routeOne(rule, [1, 1, 1, 1, 1, 1, 1, 1], 2).chosen).toEqual([0, 1]);
  });
});

describe("transformers' routers choose and weigh the same from the same logits", () => {
  const routed = [...FOLDERS].filter(([, path]) => {
    const checkpoint = openCheckpoint(path);
    const isSparse = planModel(checkpoint).layers.some(({ feedForward }) => feedForward.kind === 'moe');
    checkpoint.close();
    return isSparse;
  });

  it.each(routed)('%s', (_name, path) => {
    const checkpoint = openCheckpoint(path);
    const reference = openSafetensors(join(path, 'reference.safetensors'));
    let compared = 0;
    for (const { index, feedForward } of planModel(checkpoint).layers) {
      if (feedForward.kind !== 'moe') continue;
      const { rule, topK } = feedForward;
      const count = feedForward.experts.length;
      const outputs = [...reference.infos.values()].filter(
        ({ name }) => name.startsWith('router.') && name.includes(`.layers.${index}.`),
      );
      const ofWidth = (width: number, dtype: RegExp): string | undefined =>
        outputs.findLast(({ shape, dtype: own }) => shape.at(-1) === width && dtype.test(own))?.name;
      // llama4's router returns scores before logits, and no choice of its own.
      const [logits, choice, weight] = [ofWidth(count, /F32/), ofWidth(topK, /I64/), ofWidth(topK, /F32/)];
      if (logits === undefined || choice === undefined || weight === undefined) continue;
      const bias =
        'correctionBias' in rule && rule.correctionBias !== null ? checkpoint.read(rule.correctionBias) : null;
      const got = route(rule, reference.read(logits), count, topK, bias);
      const [choices, weights] = [reference.read(choice), reference.read(weight)];
      for (let token = 0; token < choices.length / topK; token++) {
        const span = [token * topK, (token + 1) * topK] as const;
        const wanted = new Map([...choices.subarray(...span)].map((e, k) => [e, weights[span[0] + k]!]));
        for (let slot = span[0]; slot < span[1]; slot++) {
          expect(wanted.get(got.chosen[slot]!)).toBeCloseTo(got.weights[slot]!, 5);
          compared += 1;
        }
      }
    }
    checkpoint.close();
    reference.close();
    if (!_name.startsWith('llama4')) expect(compared).toBeGreaterThan(0);
  });
});
