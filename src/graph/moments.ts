import type { NormPlan } from '../model/plan.js';
import type { Value } from './builder.js';
import { accumulate, createBlockContext, norm, type BlockContext } from './context.js';

/**
 * Second moments of two streams' rows `own` x and `followed` x̂ [rows, features], normed first where a norm is given:
 * `gram.followed` += x̂ᵀx̂, `cross` += (x − x̂)ᵀx̂, `abs.followed` = Σ|x̂| and `rows`, x̂ itself. With streams, also of the
 * residual streams `hidden` h and `followed_hidden` ĥ [rows, hidden] with them: `owed` += (h − ĥ)ᵀx̂.
 */
export function momentsGraph(plan: NormPlan | null, streams: boolean): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  const side = (name: string): Value => {
    const rows = graph.input(name, 2);
    return plan === null ? rows : norm(context, 'norm', plan, rows);
  };
  const [own, followed] = [side('own'), side('followed')];
  accumulate(graph, 'followed', followed);
  const correlate = (name: string, difference: Value): void =>
    graph.output(name, graph.node('Gemm', [difference, followed, graph.input(`${name}.sum`, 2)], { transA: 1 }));
  correlate('cross', graph.node('Sub', [own, followed]));
  if (streams) correlate('owed', graph.node('Sub', [graph.input('hidden', 2), graph.input('followed_hidden', 2)]));
  graph.output('rows', followed);
  return context;
}
