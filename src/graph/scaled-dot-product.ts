import type { AttentionPlan, LatentAttentionPlan, MixerPlan } from '../model/plan.js';
import { bind, reshape, split, type BlockContext } from './context.js';
import type { Value } from './builder.js';

/** softmax(scale·q·kᵀ + mask)·v over heads that share keys and values in equal groups. */
export interface DotProduct {
  readonly heads: number;
  readonly keyValueHeads: number;
  readonly keyDim: number;
  readonly valueDim: number;
  readonly scale: number;
  readonly softcap: number | null;
  /** Tensor of one more logit per head that takes part in the softmax and is dropped (gpt_oss). */
  readonly sinks: string | null;
}

/**
 * Score values of one part of the heads, 16 MiB of f32; longer sequences are worked off in more parts, one after the
 * other. glibc maps larger blocks anew for every use, and clearing their pages costs more than the products: 32 heads of
 * 2,048 tokens took 1.6 s in one part, 0.6 s in 32.
 */
const SCORE_BUDGET = 4 * 2 ** 20;

/** The parts in which scores are worked off, one after the other. */
export interface ScoreParts {
  /** Of the heads; see `headParts`. */
  readonly heads: number;
  /** Of the queries: masks are causal, so each part takes only the keys up to its last query. */
  readonly queries: number;
}

/** Queries of one part: fewer leave out more of the masked half, but make products that do not run at full rate. */
const PART_QUERIES = 128;
const MOST_QUERY_PARTS = 8;

export function scoreParts(mixer: HeadCounts, sequences: number, length: number): ScoreParts {
  const queries = Math.min(MOST_QUERY_PARTS, Math.max(1, Math.floor(length / PART_QUERIES)));
  return { queries, heads: headParts(mixer, sequences, length, SCORE_BUDGET * queries) };
}

type HeadCounts =
  | Pick<AttentionPlan, 'kind' | 'heads' | 'keyValueHeads'>
  | Pick<LatentAttentionPlan, 'kind' | 'heads'>
  | { readonly kind: Exclude<MixerPlan['kind'], 'attention' | 'latent-attention'> };

/**
 * In how many parts a mixer's heads are processed so that the scores of `sequences` × `length` tokens stay within a
 * budget: whole groups of heads where that suffices, else parts of a group, at most one head at a time.
 */
export function headParts(mixer: HeadCounts, sequences: number, length: number, budget = SCORE_BUDGET): number {
  if (mixer.kind !== 'attention' && mixer.kind !== 'latent-attention') return 1;
  const keyValueHeads = mixer.kind === 'attention' ? mixer.keyValueHeads : mixer.heads;
  const group = mixer.heads / keyValueHeads;
  const wanted = (sequences * mixer.heads * length * length) / budget;
  const choices = [...divisors(keyValueHeads), ...divisors(group).map((parts) => parts * keyValueHeads)];
  return choices.find((parts) => parts >= wanted) ?? mixer.heads;
}

function divisors(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i + 1).filter((d) => n % d === 0);
}

/**
 * Attention on query [batch, heads, length, keyDim], key [batch, keyValueHeads, length, keyDim] and value
 * [batch, keyValueHeads, length, valueDim], giving [batch, heads, length, valueDim]. Keys and values are broadcast over
 * their group instead of being repeated. onnxruntime orders nodes depth first, so that the scores of one part are freed
 * before the next part begins.
 *
 * @param parts as `scoreParts` gives them; queries in parts need a mask that is causal
 */
export function scaledDotProduct(
  context: BlockContext,
  plan: DotProduct,
  query: Value,
  key: Value,
  value: Value,
  parts: ScoreParts,
): Value {
  const { graph } = context;
  const { heads, keyValueHeads, keyDim, valueDim } = plan;
  const group = heads / keyValueHeads;
  const mask = graph.input('mask', 2);
  const sinks = plan.sinks === null ? null : bindSinks(context, plan.sinks, keyValueHeads, group);
  const outer = Math.min(parts.heads, keyValueHeads);
  const inner = parts.heads / outer;
  const apart = (x: Value, count: number, size: number, axis: number): Value[] =>
    count === 1 ? [x] : split(graph, x, Array<number>(count).fill(size / count), axis);
  /** [batch, perGroup·keyValueHeads, length, dim] → parts of [batch, keyValueHeads, perGroup, length, dim]. */
  const grouped = (x: Value, perGroup: number, dim: number): Value[] =>
    apart(reshape(graph, x, [0, keyValueHeads, perGroup, -1, dim]), outer, keyValueHeads, 1);
  const queries = grouped(query, group, keyDim);
  const keys = grouped(key, 1, keyDim);
  const values = grouped(value, 1, valueDim);
  const sinkParts = sinks === null ? null : apart(sinks, outer, keyValueHeads, 0);
  const mixed = queries.map((queryPart, i) => {
    const innerSinks = sinkParts === null ? null : apart(sinkParts[i]!, inner, group, 1);
    const pieces = apart(queryPart, inner, group, 2).map((piece, j) =>
      attendInParts(
        context,
        plan,
        { query: piece, key: keys[i]!, value: values[i]!, mask, sinks: innerSinks?.[j] ?? null },
        parts.queries,
      ),
    );
    return join(context, pieces, 2);
  });
  return reshape(graph, join(context, mixed, 1), [0, heads, -1, valueDim]);
}

function join({ graph }: BlockContext, pieces: readonly Value[], axis: number): Value {
  return pieces.length === 1 ? pieces[0]! : graph.node('Concat', pieces, { axis });
}

interface Operands {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  readonly mask: Value;
  readonly sinks: Value | null;
}

/** Axis of the positions in [batch, keyValueHeads, perGroup, length, dim]. */
const LENGTH_AXIS = 3;

function attendInParts(context: BlockContext, plan: DotProduct, operands: Operands, parts: number): Value {
  if (parts === 1) return attend(context, plan, operands);
  const { graph } = context;
  const queries = graph.nodes('Split', [operands.query], parts, { axis: LENGTH_AXIS, num_outputs: parts });
  const masks = graph.nodes('Split', [operands.mask], parts, { axis: 0, num_outputs: parts });
  const upTo = (x: Value, end: Value, axis: number): Value =>
    graph.node('Slice', [x, graph.integers([0]), end, graph.integers([axis])]);
  let end: Value | null = null;
  const pieces = queries.map((query, i) => {
    const own = graph.node('Shape', [query], { start: LENGTH_AXIS, end: LENGTH_AXIS + 1 });
    end = end === null ? own : graph.node('Add', [end, own]);
    return attend(context, plan, {
      ...operands,
      query,
      key: upTo(operands.key, end, LENGTH_AXIS),
      value: upTo(operands.value, end, LENGTH_AXIS),
      mask: upTo(masks[i]!, end, 1),
    });
  });
  return join(context, pieces, LENGTH_AXIS);
}

function attend({ graph }: BlockContext, plan: DotProduct, { query, key, value, mask, sinks }: Operands): Value {
  const { heads, keyValueHeads, keyDim, valueDim } = plan;
  // Heads of one group read the same keys and values, so their queries are the rows of one product.
  const joins = heads > keyValueHeads;
  const joined = (x: Value, width: number): Value => (joins ? reshape(graph, x, [0, 0, -1, width]) : x);
  const apart = (x: Value): Value => {
    if (!joins) return x;
    const outer = graph.node('Shape', [query], { start: 0, end: LENGTH_AXIS + 1 });
    return graph.node('Reshape', [x, graph.node('Concat', [outer, graph.integers([-1])], { axis: 0 })]);
  };
  const flat = graph.node('FusedMatMul', [joined(query, keyDim), joined(key, keyDim)], {
    transB: 1,
    alpha: { float: plan.scale },
  });
  let scores = apart(flat);
  if (plan.softcap !== null) {
    const cap = graph.floats([plan.softcap], []);
    scores = graph.node('Mul', [graph.node('Tanh', [graph.node('Div', [scores, cap])]), cap]);
  }
  scores = graph.node('Add', [scores, mask]);
  const softmax = graph.node('Softmax', [scores], { axis: -1 });
  const shares = joins ? graph.node('Reshape', [softmax, graph.node('Shape', [flat])]) : softmax;
  const mixed = apart(graph.node('MatMul', [shares, joined(value, valueDim)]));
  if (sinks === null) return mixed;
  // e^sink in the denominator scales every probability of a row by Σe^s / (Σe^s + e^sink) = σ(log Σe^s − sink).
  const logSum = graph.node('ReduceLogSumExp', [scores, graph.integers([-1])], { keepdims: 1 });
  return graph.node('Mul', [mixed, graph.node('Sigmoid', [graph.node('Sub', [logSum, sinks])])]);
}

function bindSinks(context: BlockContext, tensor: string, keyValueHeads: number, group: number): Value {
  const shape = [keyValueHeads, group, 1, 1];
  return bind(context, 'sinks', shape.length, { kind: 'vector', ref: { tensor }, offset: 0, shape });
}
