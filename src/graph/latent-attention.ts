import type { LatentAttentionPlan } from '../model/plan.js';
import { joinHeads, rotate, splitHeads, type SequenceInputs } from './attention.js';
import type { Value } from './builder.js';
import { linear, norm, split, tap, type BlockContext } from './context.js';
import { scaledDotProduct } from './scaled-dot-product.js';

/**
 * Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434 §2.1) over x [batch·length, hidden], returning what its output Linear
 * reads: keys and values come from a normalized latent vector, positions from a part of every query head and one
 * rotary key that all heads share.
 */
export function latentAttention(
  context: BlockContext,
  plan: LatentAttentionPlan,
  x: Value,
  { batchAndLength, parts }: SequenceInputs,
): Value {
  const { graph } = context;
  const { heads, latentDim, plainDim, valueDim, rope, scale } = plan;
  const { rotaryDim, interleaved } = rope;
  const keyDim = plainDim + rotaryDim;
  const turn = (part: Value): Value => rotate(context, part, interleaved, rotaryDim, rotaryDim);

  const queryHeads = splitHeads(context, queries(context, plan, x), batchAndLength, heads, keyDim);
  const [plainQuery, rotaryQuery] = split(graph, queryHeads, [plainDim, rotaryDim], 3);
  const query = graph.node('Concat', [plainQuery, turn(rotaryQuery)], { axis: 3 });

  const compressed = linear(context, 'key_value_down', plan.keyValueDown, x);
  const [latent, sharedKey] = split(graph, compressed, [latentDim, rotaryDim], 1);
  const normed = norm(context, 'key_value_norm', plan.keyValueNorm, latent);
  tap(context, 'latent-key-value', normed);
  const expanded = linear(context, 'key_value_up', plan.keyValueUp, normed);
  const keyValueHeads = splitHeads(context, expanded, batchAndLength, heads, plainDim + valueDim);
  const [plainKey, value] = split(graph, keyValueHeads, [plainDim, valueDim], 3);
  const rotaryKey = turn(splitHeads(context, sharedKey, batchAndLength, 1, rotaryDim));
  const spread = graph.node('Expand', [rotaryKey, graph.integers([1, heads, 1, 1])]);
  const key = graph.node('Concat', [plainKey, spread], { axis: 3 });

  const product = { heads, keyValueHeads: heads, keyDim, valueDim, scale, softcap: null, sinks: null };
  const mixed = scaledDotProduct(context, product, query, key, value, parts);
  const joined = joinHeads(context, mixed, heads * valueDim);
  return joined;
}

function queries(context: BlockContext, { query }: LatentAttentionPlan, x: Value): Value {
  if (query.kind === 'direct') return linear(context, 'query', query.projection, x);
  const normed = norm(context, 'query_norm', query.norm, linear(context, 'query_down', query.down, x));
  tap(context, 'latent-query', normed);
  return linear(context, 'query_up', query.up, normed);
}
