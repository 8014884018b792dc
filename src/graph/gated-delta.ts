import type { GatedDeltaPlan } from '../model/plan.js';
import type { SequenceInputs } from './attention.js';
import type { Value } from './builder.js';
import { bind, linear, norm, reshape, split, type BlockContext } from './context.js';
import { gatedDeltaRule } from './gated-delta-rule.js';
import { causalConvolution, channelsFirst, sequences } from './short-convolution.js';

/**
 * Gated delta net (arXiv 2412.06464, as in Qwen3-Next) over x [batch·length, hidden], returning what its output Linear reads:
 * a short convolution on queries, keys and values, the gated delta rule, and a norm gated by silu(z).
 */
export function gatedDelta(
  context: BlockContext,
  plan: GatedDeltaPlan,
  x: Value,
  { batchAndLength }: SequenceInputs,
): Value {
  const { graph } = context;
  const { keyHeads, valueHeads, keyDim, valueDim } = plan;
  const [keyWidth, valueWidth] = [keyHeads * keyDim, valueHeads * valueDim];
  const width = 2 * keyWidth + valueWidth;
  const { mixed, z, b, a } = project(context, plan, x);
  const signal = channelsFirst(context, sequences(context, mixed, batchAndLength, width));
  const convolution = { ...plan.convolution, bias: null };
  const convolved = silu(context, causalConvolution(context, convolution, width, signal));
  const [query, key, value] = split(graph, convolved, [keyWidth, keyWidth, valueWidth], 1);
  const out = gatedDeltaRule(context, plan, {
    query,
    key,
    value,
    beta: sequences(context, graph.node('Sigmoid', [b]), batchAndLength, valueHeads),
    logDecay: sequences(context, logDecay(context, plan, a), batchAndLength, valueHeads),
    length: graph.node('Slice', [batchAndLength, graph.integers([1]), graph.integers([2])]),
  });
  const normed = norm(context, 'mixer_norm', plan.norm, reshape(graph, out, [-1, valueDim]));
  const gated = graph.node('Mul', [normed, silu(context, reshape(graph, z, [-1, valueDim]))]);
  const joined = reshape(graph, gated, [-1, valueWidth]);
  return joined;
}

interface Projections {
  /** [rows, queries | keys | values]. */
  readonly mixed: Value;
  /** [rows, values]. */
  readonly z: Value;
  /** [rows, valueHeads]. */
  readonly b: Value;
  readonly a: Value;
}

/** A fused projection holds, for each key head in turn, its query and key, and the values and gates of its value heads. */
function project(context: BlockContext, plan: GatedDeltaPlan, x: Value): Projections {
  const { graph } = context;
  const { projections, keyHeads, valueHeads, keyDim, valueDim } = plan;
  if (projections.kind === 'separate') {
    return {
      mixed: linear(context, 'query_key_value', projections.qkv, x),
      z: linear(context, 'z', projections.z, x),
      b: linear(context, 'b', projections.b, x),
      a: linear(context, 'a', projections.a, x),
    };
  }
  const repeat = valueHeads / keyHeads;
  const perHead = (joint: Value, size: number): Value => reshape(graph, joint, [-1, keyHeads, size]);
  const flat = (part: Value, size: number): Value => reshape(graph, part, [-1, keyHeads * size]);
  const values = repeat * valueDim;
  const joint = linear(context, 'query_key_value_z', projections.qkvz, x);
  const sizes = [keyDim, keyDim, values, values] as const;
  const [query, key, value, z] = split(graph, perHead(joint, 2 * keyDim + 2 * values), sizes, 2);
  const [b, a] = split(graph, perHead(linear(context, 'ba', projections.ba, x), 2 * repeat), [repeat, repeat], 2);
  const mixed = [flat(query, keyDim), flat(key, keyDim), flat(value, values)];
  return {
    mixed: graph.node('Concat', mixed, { axis: 1 }),
    z: flat(z, values),
    b: flat(b, repeat),
    a: flat(a, repeat),
  };
}

/** −e^A·softplus(a + bias): the logarithm of what a token leaves of the state before it. */
function logDecay(context: BlockContext, { decay }: GatedDeltaPlan, a: Value): Value {
  const { graph } = context;
  const logA = bind(context, 'decay.log_a', 1, { kind: 'vector', ref: { tensor: decay.logA }, offset: 0 });
  const bias = bind(context, 'decay.bias', 1, { kind: 'vector', ref: { tensor: decay.timeBias }, offset: 0 });
  const step = graph.node('Softplus', [graph.node('Add', [a, bias])]);
  return graph.node('Neg', [graph.node('Mul', [graph.node('Exp', [logA]), step])]);
}

function silu({ graph }: BlockContext, x: Value): Value {
  return graph.node('QuickGelu', [x], { alpha: { float: 1 } });
}
