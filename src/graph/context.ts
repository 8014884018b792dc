import type { Linear, NormPlan, Tap, VectorRef, WeightRef } from '../model/plan.js';
import { createGraphBuilder, type GraphBuilder, type Value } from './builder.js';

/** What a graph input is fed with. Names are the same for every layer of a shape, so that the graph can be cached. */
export type Binding =
  | { readonly kind: 'weight'; readonly ref: WeightRef }
  /** `offset` is added when loading: 1 for zero-centred norms. `shape` is the input's shape where it is not [n]. */
  | { readonly kind: 'vector'; readonly ref: VectorRef; readonly offset: 0 | 1; readonly shape?: readonly number[] }
  | { readonly kind: 'raw'; readonly tensor: string; readonly shape: readonly number[] };

/** A graph under construction, with the tensors that its inputs stand for. */
export interface BlockContext {
  readonly graph: GraphBuilder;
  readonly bindings: Map<string, Binding>;
  /** Statistics wanted; a block calls `tap` for every input of a Linear it has, and only the wanted ones cost. */
  readonly taps: ReadonlySet<Tap>;
  /** [rows, 1]: 1 for a token of a sequence, 0 for padding. Statistics see tokens only. */
  readonly valid: () => Value;
  /** Rows whose inputs a tap returns as they are, as whole numbers in f32: exact up to 2²⁴ rows of a batch. */
  readonly sampleRows: () => Value;
  /** One token in how many enters the statistics; the tokens are then named like the sampled rows. */
  readonly stride: number;
  readonly strideRows: () => Value;
}

export function createBlockContext(taps: ReadonlySet<Tap>, stride = 1): BlockContext {
  const graph = createGraphBuilder();
  let valid: Value | null = null;
  let sampleRows: Value | null = null;
  let strideRows: Value | null = null;
  const INT64 = 7;
  const indices = (name: string): Value => graph.node('Cast', [graph.input(name, 1)], { to: INT64 });
  return {
    graph,
    bindings: new Map(),
    taps,
    valid: () => (valid ??= graph.input('valid', 2)),
    sampleRows: () => (sampleRows ??= indices('sample_rows')),
    stride,
    strideRows: () => (strideRows ??= indices('stride_rows')),
  };
}

export function bind(context: BlockContext, name: string, rank: number, binding: Binding): Value {
  context.bindings.set(name, binding);
  return context.graph.input(name, rank);
}

/** x [rows, in] → x·Wᵀ + b [rows, out]. */
export function linear(context: BlockContext, name: string, plan: Linear, x: Value): Value {
  return context.graph.node('Gemm', [x, ...linearOperands(context, name, plan)], { transB: 1 });
}

/** Weight and bias of a Linear as graph inputs. */
export function linearOperands(context: BlockContext, name: string, plan: Linear): Value[] {
  return linearBindings(name, plan).map(([operand, binding]) =>
    bind(context, operand, binding.kind === 'weight' ? 2 : 1, binding),
  );
}

/** Weight and bias of a Linear under the names of its graph inputs. */
export function linearBindings(name: string, { weight, bias }: Linear): (readonly [string, Binding])[] {
  return [
    [`${name}.weight`, { kind: 'weight', ref: weight }],
    ...(bias === null ? [] : [[`${name}.bias`, { kind: 'vector', ref: bias, offset: 0 }] as const]),
  ];
}

/** Normalizes the last dimension, at any rank. */
export function norm(context: BlockContext, name: string, plan: NormPlan, x: Value): Value {
  const scale = bind(context, `${name}.weight`, 1, {
    kind: 'vector',
    ref: { tensor: plan.weight },
    offset: plan.offset,
  });
  if (plan.kind === 'rms') {
    return context.graph.node('SimplifiedLayerNormalization', [x, scale], {
      axis: -1,
      epsilon: { float: plan.epsilon },
    });
  }
  const bias =
    plan.bias === null
      ? null
      : bind(context, `${name}.bias`, 1, { kind: 'vector', ref: { tensor: plan.bias }, offset: 0 });
  return context.graph.node('LayerNormalization', bias === null ? [x, scale] : [x, scale, bias], {
    axis: -1,
    epsilon: { float: plan.epsilon },
  });
}

/**
 * Where `name` is wanted: outputs `gram.<name>` = XᵀX added to the graph input of the same name, and `abs.<name>` =
 * Σ|x| over the tokens of x [rows, features], and `sample.<name>`, the rows of x that `sample_rows` names.
 */
export function tap(context: BlockContext, name: Tap, x: Value): void {
  if (!context.taps.has(name)) return;
  const { graph } = context;
  const tokens =
    context.stride === 1
      ? graph.node('Mul', [x, context.valid()])
      : graph.node('Gather', [x, context.strideRows()], { axis: 0 });
  accumulate(graph, name, tokens, context.stride);
  graph.output(`sample.${name}`, graph.node('Gather', [x, context.sampleRows()], { axis: 0 }));
}

/** The statistics of x [rows, features], all of whose rows are tokens; each stands for `times` of them. */
export function accumulate(graph: GraphBuilder, name: string, x: Value, times = 1): void {
  accumulateGram(graph, name, x, times);
  const sum = graph.node('ReduceSum', [graph.node('Abs', [x]), graph.integers([0])], { keepdims: 0 });
  graph.output(`abs.${name}`, times === 1 ? sum : graph.node('Mul', [sum, graph.floats([times])]));
}

/** Of the statistics, XᵀX alone. */
export function accumulateGram(graph: GraphBuilder, name: string, x: Value, times = 1): void {
  const sum = graph.input(`gram.${name}.sum`, 2);
  graph.output(`gram.${name}`, graph.node('Gemm', [x, x, sum], { transA: 1, alpha: { float: times } }));
}

/** Every `stride`-th row of x, from the first. */
export function everyRow(graph: GraphBuilder, x: Value, stride: number): Value {
  if (stride === 1) return x;
  const [start, end, axis] = [0, 2 ** 31 - 1, 0].map((value) => graph.integers([value]));
  return graph.node('Slice', [x, start!, end!, axis!, graph.integers([stride])]);
}

export function reshape(graph: GraphBuilder, x: Value, shape: readonly number[]): Value {
  return graph.node('Reshape', [x, graph.integers(shape)]);
}

type Sizes2 = readonly [number, number];
type Sizes3 = readonly [number, number, number];
type Sizes4 = readonly [number, number, number, number];

/** Splits x along an axis into parts of the given sizes. */
export function split(graph: GraphBuilder, x: Value, sizes: Sizes2, axis: number): [Value, Value];
export function split(graph: GraphBuilder, x: Value, sizes: Sizes3, axis: number): [Value, Value, Value];
export function split(graph: GraphBuilder, x: Value, sizes: Sizes4, axis: number): [Value, Value, Value, Value];
export function split(graph: GraphBuilder, x: Value, sizes: readonly number[], axis: number): Value[];
export function split(graph: GraphBuilder, x: Value, sizes: readonly number[], axis: number): Value[] {
  return graph.nodes('Split', [x, graph.integers(sizes)], sizes.length, { axis });
}
