import type { GatedDeltaPlan } from '../model/plan.js';
import type { GraphBuilder, Value } from './builder.js';
import { reshape, type BlockContext } from './context.js';

/** Tokens of a chunk; a power of two. At 32 the products inside a chunk cost about as much as those with the state. */
const CHUNK = 32;

/** Hides later tokens: added to a logarithm, the exponential is 0. */
const HIDDEN = -1e30;

export interface DeltaRuleInputs {
  /** [batch, keyHeads·keyDim, length]. */
  readonly query: Value;
  readonly key: Value;
  /** [batch, valueHeads·valueDim, length]. */
  readonly value: Value;
  /** Strength of a token's write, [batch, length, valueHeads]. */
  readonly beta: Value;
  /** [batch, length, valueHeads]. */
  readonly logDecay: Value;
  /** One integer. */
  readonly length: Value;
}

type HeadSizes = Pick<GatedDeltaPlan, 'keyHeads' | 'valueHeads' | 'keyDim' | 'valueDim'>;

/**
 * The gated delta rule, giving [batch, length, valueHeads, valueDim]. Per head and token, with unit q and k:
 *
 *     S ← e^g·S;  S ← S + k·β(v − Sᵀk)ᵀ;  o = Sᵀq/√keyDim
 *
 * in its chunkwise form (arXiv 2406.06484 §3.2, with the decay of arXiv 2412.06464 §3.3): within a chunk all writes solve
 * one unit triangular system, and the state passes from chunk to chunk. Value heads that share a key head are a
 * dimension of their own, over which queries and keys broadcast.
 */
export function gatedDeltaRule({ graph }: BlockContext, sizes: HeadSizes, inputs: DeltaRuleInputs): Value {
  const { keyHeads, valueHeads, keyDim, valueDim } = sizes;
  const repeat = valueHeads / keyHeads;
  const rest = graph.node('Mod', [graph.node('Neg', [inputs.length]), graph.integers([CHUNK])]);
  const padded = (x: Value, axis: 1 | 2): Value => {
    const zeros = (count: number): Value => graph.integers(Array<number>(count).fill(0));
    const pads = axis === 2 ? [zeros(5), rest] : [zeros(4), rest, zeros(1)];
    return graph.node('Pad', [x, graph.node('Concat', pads, { axis: 0 })]);
  };
  /** [batch, keyHeads·perHead·dim, length] → [chunks, batch, keyHeads, perHead, CHUNK, dim]. */
  const chunks = (x: Value, perHead: number, dim: number): Value => {
    const apart = reshape(graph, padded(x, 2), [0, keyHeads, perHead, dim, -1, CHUNK]);
    return graph.node('Transpose', [apart], { perm: [4, 0, 1, 2, 5, 3] });
  };
  /** [batch, length, valueHeads] → [chunks, batch, keyHeads, repeat, CHUNK]. */
  const scalarChunks = (x: Value): Value => {
    const apart = reshape(graph, padded(x, 1), [0, -1, CHUNK, keyHeads, repeat]);
    return graph.node('Transpose', [apart], { perm: [1, 0, 3, 4, 2] });
  };
  const batch = graph.node('Slice', [graph.node('Shape', [inputs.query]), graph.integers([0]), graph.integers([1])]);
  const stateShape = graph.node('Concat', [batch, graph.integers([keyHeads, repeat, keyDim, valueDim])], { axis: 0 });
  const { outputs } = graph.scan(
    [graph.node('Expand', [graph.floats([0]), stateShape])],
    [
      unit(graph, chunks(inputs.query, 1, keyDim), keyDim, keyDim ** -0.5),
      unit(graph, chunks(inputs.key, 1, keyDim), keyDim, 1),
      chunks(inputs.value, repeat, valueDim),
      scalarChunks(inputs.beta),
      scalarChunks(inputs.logDecay),
    ],
    chunkStep(graph),
  );
  const ordered = graph.node('Transpose', [outputs[0]!], { perm: [1, 0, 4, 2, 3, 5] });
  const joined = reshape(graph, ordered, [0, -1, valueHeads * valueDim]);
  const own = graph.node('Slice', [joined, graph.integers([0]), inputs.length, graph.integers([1])]);
  return reshape(graph, own, [0, -1, valueHeads, valueDim]);
}

/** x·scale/√(Σx² + 1e-6) over the last dimension, written as the RMS norm that onnxruntime fuses. */
function unit(graph: GraphBuilder, x: Value, dim: number, scale: number): Value {
  const weight = graph.floats(Array<number>(dim).fill(scale * dim ** -0.5));
  return graph.node('SimplifiedLayerNormalization', [x, weight], { axis: -1, epsilon: { float: 1e-6 / dim } });
}

/** One chunk: state [batch, keyHeads, repeat, keyDim, valueDim] and the chunk's tensors → new state, output. */
function chunkStep(graph: GraphBuilder) {
  const mul = (...values: readonly Value[]): Value => values.reduce((a, b) => graph.node('Mul', [a, b]));
  const matmul = (a: Value, b: Value, options = {}): Value => graph.node('FusedMatMul', [a, b], options);
  const column = (x: Value): Value => graph.node('Unsqueeze', [x, graph.integers([-1])]);
  const row = (x: Value): Value => graph.node('Unsqueeze', [x, graph.integers([-2])]);
  const visible = square(graph, (i, j) => (j > i ? HIDDEN : 0));
  const earlier = square(graph, (i, j) => (j < i ? 1 : 0));
  return ([state]: readonly Value[], items: readonly Value[]): { states: Value[]; outputs: Value[] } => {
    const [query, key, value, beta, logDecay] = [items[0]!, items[1]!, items[2]!, items[3]!, items[4]!];
    // e^(c_i − c_j) is what a token i sees of what token j wrote, e^(c_i) what it sees of the state before the chunk.
    const sums = graph.node('CumSum', [logDecay, graph.integers([-1])]);
    const decays = graph.node('Exp', [graph.node('Add', [graph.node('Sub', [column(sums), row(sums)]), visible])]);
    const fromState = column(graph.node('Exp', [sums]));
    const last = graph.node('Slice', [
      sums,
      graph.integers([CHUNK - 1]),
      graph.integers([CHUNK]),
      graph.integers([-1]),
    ]);
    const toEnd = column(graph.node('Exp', [graph.node('Sub', [last, sums])]));
    const strength = column(beta);

    const system = mul(matmul(key, key, { transB: 1 }), decays, earlier, strength);
    const unexplained = graph.node('Sub', [value, mul(fromState, matmul(key, state!))]);
    const writes = matmul(inverse(graph, system), mul(strength, unexplained));
    const within = mul(matmul(query, key, { transB: 1 }), decays);
    const output = graph.node('Add', [mul(fromState, matmul(query, state!)), matmul(within, writes)]);
    const kept = mul(state!, column(graph.node('Exp', [last])));
    const added = matmul(key, mul(toEnd, writes), { transA: 1 });
    return { states: [graph.node('Add', [kept, added])], outputs: [output] };
  };
}

/**
 * (I + A)⁻¹ for strictly lower triangular A […, CHUNK, CHUNK], by doubling: with X the inverse of the diagonal blocks of
 * size s, X − X·L·X is that of the blocks of size 2s, where L is A within their lower left quarters. Unlike the series in
 * powers of A this adds nothing that later cancels.
 */
function inverse(graph: GraphBuilder, a: Value): Value {
  let x: Value | null = null;
  for (let size = 1; size < CHUNK; size *= 2) {
    const quarter = square(graph, (i, j) => {
      const sameBlock = Math.floor(i / (2 * size)) === Math.floor(j / (2 * size));
      return sameBlock && i % (2 * size) >= size && j % (2 * size) < size ? 1 : 0;
    });
    const corner: Value = graph.node('Mul', [a, quarter]);
    const change: Value = x === null ? corner : graph.node('MatMul', [x, graph.node('MatMul', [corner, x])]);
    x = graph.node('Sub', [x ?? square(graph, (i, j) => (i === j ? 1 : 0)), change]);
  }
  return x!;
}

function square(graph: GraphBuilder, entry: (i: number, j: number) => number): Value {
  const values = Array.from({ length: CHUNK * CHUNK }, (_, at) => entry(Math.floor(at / CHUNK), at % CHUNK));
  return graph.floats(values, [CHUNK, CHUNK]);
}
