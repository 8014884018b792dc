import type { AttentionPlan, HeadNorm } from '../model/plan.js';
import { bind, linear, reshape, split, type BlockContext } from './context.js';
import type { Value } from './builder.js';
import { scaledDotProduct, type ScoreParts } from './scaled-dot-product.js';

/** Inputs shared by every attention graph; see `src/runtime/positions.ts` for what they are fed with. */
export interface SequenceInputs {
  /** Shape vector [batch, length] of the hidden states. */
  readonly batchAndLength: Value;
  readonly parts: ScoreParts;
}

/**
 * Grouped-query attention over x [batch·length, hidden], returning what its output Linear reads. Sequences are padded on the
 * right; the causal mask keeps padding from reaching any token, so results do not depend on the batch.
 */
export function attention(
  context: BlockContext,
  plan: AttentionPlan,
  x: Value,
  { batchAndLength, parts }: SequenceInputs,
): Value {
  const { graph } = context;
  const { heads, keyValueHeads, headDim } = plan;
  let [query, key, value, gate] = project(context, plan, x);
  if (plan.queryNorm?.over === 'width') query = headNorm(context, 'query_norm', plan.queryNorm, query, heads * headDim);
  if (plan.keyNorm?.over === 'width') key = headNorm(context, 'key_norm', plan.keyNorm, key, keyValueHeads * headDim);
  if (plan.clip !== null) {
    const [low, high] = [graph.floats([-plan.clip], []), graph.floats([plan.clip], [])];
    const clamp = (part: Value): Value => graph.node('Clip', [part, low, high]);
    [query, key, value] = [clamp(query), clamp(key), clamp(value)];
  }
  let queryHeads = splitHeads(context, query, batchAndLength, heads, headDim);
  let keyHeads = splitHeads(context, key, batchAndLength, keyValueHeads, headDim);
  const valueHeads = splitHeads(context, value, batchAndLength, keyValueHeads, headDim);
  const normalize = (order: HeadNorm['order']): void => {
    if (plan.queryNorm?.over === 'head' && plan.queryNorm.order === order) {
      queryHeads = headNorm(context, 'query_norm', plan.queryNorm, queryHeads, headDim);
    }
    if (plan.keyNorm?.over === 'head' && plan.keyNorm.order === order) {
      keyHeads = headNorm(context, 'key_norm', plan.keyNorm, keyHeads, headDim);
    }
  };
  normalize('before-rope');
  if (plan.rope !== null) {
    const { interleaved, rotaryDim } = plan.rope;
    const turn = (part: Value): Value => rotate(context, part, interleaved, rotaryDim, headDim);
    [queryHeads, keyHeads] = [turn(queryHeads), turn(keyHeads)];
  }
  normalize('after-rope');
  if (plan.temperature !== null) queryHeads = graph.node('Mul', [queryHeads, graph.input('temperature', 2)]);
  const product = { ...plan, keyDim: headDim, valueDim: headDim };
  const mixed = scaledDotProduct(context, product, queryHeads, keyHeads, valueHeads, parts);
  let joined = joinHeads(context, mixed, heads * headDim);
  if (gate !== null) joined = graph.node('Mul', [joined, graph.node('Sigmoid', [gate])]);
  return joined;
}

function project(
  context: BlockContext,
  plan: AttentionPlan,
  x: Value,
): [query: Value, key: Value, value: Value, gate: Value | null] {
  const { graph } = context;
  const { heads, keyValueHeads, headDim, projections } = plan;
  if (projections.kind === 'fused') {
    const joint = linear(context, 'query_key_value', projections.queryKeyValue, x);
    const [queryWidth, width] = [heads * headDim, keyValueHeads * headDim];
    return [...split(graph, joint, [queryWidth, width, width], 1), null];
  }
  let query = linear(context, 'query', projections.query, x);
  let gate: Value | null = null;
  if (plan.outputGate) {
    const perHead = reshape(graph, query, [-1, heads, 2 * headDim]);
    const [queries, gates] = split(graph, perHead, [headDim, headDim], 2);
    query = reshape(graph, queries, [-1, heads * headDim]);
    gate = reshape(graph, gates, [-1, heads * headDim]);
  }
  return [query, linear(context, 'key', projections.key, x), linear(context, 'value', projections.value, x), gate];
}

function headNorm(context: BlockContext, name: string, plan: HeadNorm, x: Value, width: number): Value {
  const { graph } = context;
  const scale =
    plan.weight === null
      ? graph.floats(Array.from({ length: width }, () => 1))
      : bind(context, `${name}.weight`, 1, { kind: 'vector', ref: { tensor: plan.weight }, offset: plan.offset });
  const operator = plan.kind === 'rms' ? 'SimplifiedLayerNormalization' : 'LayerNormalization';
  return graph.node(operator, [x, scale], { axis: -1, epsilon: { float: plan.epsilon } });
}

/** [batch·length, heads·dim] → [batch, heads, length, dim]. */
export function splitHeads(context: BlockContext, x: Value, batchAndLength: Value, heads: number, dim: number): Value {
  const { graph } = context;
  const shape = graph.node('Concat', [batchAndLength, graph.integers([heads, dim])], { axis: 0 });
  return graph.node('Transpose', [graph.node('Reshape', [x, shape])], { perm: [0, 2, 1, 3] });
}

/** [batch, heads, length, dim] → [batch·length, heads·dim]. */
export function joinHeads(context: BlockContext, x: Value, width: number): Value {
  return reshape(context.graph, context.graph.node('Transpose', [x], { perm: [0, 2, 1, 3] }), [-1, width]);
}

/** Rotary positions on [batch, heads, length, dim]; the trailing dim − rotaryDim features pass unchanged. */
export function rotate(context: BlockContext, x: Value, interleaved: boolean, rotaryDim: number, dim: number): Value {
  const { graph } = context;
  const [cos, sin] = [graph.input('cos', 2), graph.input('sin', 2)];
  const positions = rotaryPositions(context);
  const turn = (part: Value): Value =>
    graph.node('RotaryEmbedding', [part, positions, cos, sin], { interleaved: interleaved ? 1 : 0 });
  if (rotaryDim === dim) return turn(x);
  const [rotated, rest] = split(graph, x, [rotaryDim, dim - rotaryDim], 3);
  return graph.node('Concat', [turn(rotated), rest], { axis: 3 });
}

/** The offset form of position_ids: every sequence starts at position 0. */
function rotaryPositions(context: BlockContext): Value {
  return context.graph.integers([0]);
}
