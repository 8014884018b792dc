import type { NormPlan } from '../model/plan.js';
import type { Value } from './builder.js';
import { createBlockContext, norm, type BlockContext } from './context.js';

/** Columns [from, to). */
export type Columns = readonly [from: number, to: number];

export interface MomentsShape {
  /** Channels of the first factor whose moments with all of x̂ are taken. */
  readonly features: Columns | 'all';
  /** With the other's rows, too. */
  readonly own: boolean;
  /** With the difference of the residual streams in these of their channels, too. */
  readonly streams: Columns | 'all' | null;
}

/**
 * Second moments of rows `followed` x̂ [rows, features], normed first where a norm is given, for some channels b of the
 * first factor: `gram` += x̂[b]ᵀx̂ and `abs` = Σ|x̂[b]|. Of two streams, also with the other's rows `own` x:
 * `cross` += (x − x̂)[b]ᵀx̂. Of the residual streams `hidden` h and `followed_hidden` ĥ [rows, hidden], too: `owed` +=
 * (h − ĥ)[b]ᵀx̂. Each is added to the graph input of its name and `.sum`.
 */
export function momentsGraph(plan: NormPlan | null, { features, own, streams }: MomentsShape): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  const side = (name: string): Value => {
    const rows = graph.input(name, 2);
    return plan === null ? rows : norm(context, 'norm', plan, rows);
  };
  const columns = (x: Value, wanted: Columns | 'all'): Value =>
    wanted === 'all' ? x : graph.node('Slice', [x, ...[...wanted, 1].map((value) => graph.integers([value]))]);
  const followed = side('followed');
  const correlate = (name: string, factor: Value): void =>
    graph.output(name, graph.node('Gemm', [factor, followed, graph.input(`${name}.sum`, 2)], { transA: 1 }));
  const block = columns(followed, features);
  correlate('gram', block);
  graph.output('abs', graph.node('ReduceSum', [graph.node('Abs', [block]), graph.integers([0])], { keepdims: 0 }));
  if (own) correlate('cross', graph.node('Sub', [columns(side('own'), features), block]));
  if (streams !== null) {
    const [hidden, followedHidden] = ['hidden', 'followed_hidden'].map((name) =>
      columns(graph.input(name, 2), streams),
    );
    correlate('owed', graph.node('Sub', [hidden!, followedHidden!]));
  }
  return context;
}

/** `rows`: x [rows, features] behind a norm. */
export function normGraph(plan: NormPlan): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  graph.output('rows', norm(context, 'norm', plan, graph.input('x', 2)));
  return context;
}
