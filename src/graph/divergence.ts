import type { ModelPlan } from '../model/plan.js';
import { createBlockContext, norm, type BlockContext } from './context.js';
import type { Value } from './builder.js';
import { logits } from './head.js';

/**
 * Over a span of the vocabulary, per token, for a reference model p and another model q: the largest logit m, Σ e^(l−m),
 * and for p also Σ e^(l_p−m_p)·(l_p − l_q). Spans combine into KL(p‖q) and both log-likelihoods without ever holding a
 * whole distribution of a large vocabulary. Inputs `p.x`, `q.x` [rows, hidden], `p.head`, `q.head` [span, hidden];
 * outputs are [rows, 1], and `p.normed`, `q.normed` [rows, hidden].
 */
export function divergenceGraph(reference: ModelPlan, other: ModelPlan): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  const branch = (prefix: 'p' | 'q', plan: ModelPlan): Value => {
    const normed = norm(context, `${prefix}.final_norm`, plan.finalNorm, graph.input(`${prefix}.x`, 2));
    graph.output(`${prefix}.normed`, normed);
    return logits(context, plan, normed, graph.input(`${prefix}.head`, 2), `${prefix}.head.bias`);
  };
  const p = branch('p', reference);
  const q = branch('q', other);
  const partition = (prefix: 'p' | 'q', l: Value): Value => {
    const most = graph.node('ReduceMax', [l, graph.integers([1])], { keepdims: 1 });
    const exponentials = graph.node('Exp', [graph.node('Sub', [l, most])]);
    graph.output(`${prefix}.max`, most);
    graph.output(`${prefix}.sum`, graph.node('ReduceSum', [exponentials, graph.integers([1])], { keepdims: 1 }));
    return exponentials;
  };
  const weights = partition('p', p);
  partition('q', q);
  const difference = graph.node('Mul', [weights, graph.node('Sub', [p, q])]);
  graph.output('cross', graph.node('ReduceSum', [difference, graph.integers([1])], { keepdims: 1 }));
  // As f32: exact up to 2^24, beyond any vocabulary.
  for (const [prefix, l] of [
    ['p', p],
    ['q', q],
  ] as const) {
    graph.output(
      `${prefix}.best`,
      graph.node('Cast', [graph.node('ArgMax', [l], { axis: 1, keepdims: 1 })], { to: 1 }),
    );
  }
  return context;
}
