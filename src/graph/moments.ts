import type { NormPlan } from '../model/plan.js';
import type { Value } from './builder.js';
import { accumulate, createBlockContext, norm, type BlockContext } from './context.js';

/**
 * Second moments of rows `followed` x̂ [rows, features], normed first where a norm is given: `gram.followed` += x̂ᵀx̂,
 * `abs.followed` = Σ|x̂| and `rows`, x̂ itself. Of two streams, also with the other's rows `own` x: `cross` += (x − x̂)ᵀx̂.
 * Of the residual streams `hidden` h and `followed_hidden` ĥ [rows, hidden], too: `owed` += (h − ĥ)ᵀx̂.
 */
export function momentsGraph(
  plan: NormPlan | null,
  of: { readonly own: boolean; readonly streams: boolean },
): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  const side = (name: string): Value => {
    const rows = graph.input(name, 2);
    return plan === null ? rows : norm(context, 'norm', plan, rows);
  };
  const followed = side('followed');
  accumulate(graph, 'followed', followed);
  const correlate = (name: string, difference: Value): void =>
    graph.output(name, graph.node('Gemm', [difference, followed, graph.input(`${name}.sum`, 2)], { transA: 1 }));
  if (of.own) correlate('cross', graph.node('Sub', [side('own'), followed]));
  if (of.streams) correlate('owed', graph.node('Sub', [graph.input('hidden', 2), graph.input('followed_hidden', 2)]));
  graph.output('rows', followed);
  return context;
}
