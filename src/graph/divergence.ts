import type { ModelPlan } from '../model/plan.js';
import type { Value } from './builder.js';
import { createBlockContext, norm, type BlockContext } from './context.js';
import { logits } from './head.js';

/**
 * Over a span of the vocabulary, for a reference model p and another model q: inputs `p.x`, `q.x` [rows, hidden] and
 * `p.head`, `q.head` [span, hidden]; outputs per side the first column of logits `first` [rows, 1], `log` [rows, span]
 * (log-softmax within the span) and `normed` [rows, hidden], and for p also `share` [rows, span] (softmax).
 *
 * Softmax and log-softmax are onnxruntime's fastest passes over a row; exponentials and reductions as single operators
 * took four times as long as the products.
 */
export function divergenceGraph(reference: ModelPlan, other: ModelPlan): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  const branch = (prefix: 'p' | 'q', plan: ModelPlan): Value => {
    const normed = norm(context, `${prefix}.final_norm`, plan.finalNorm, graph.input(`${prefix}.x`, 2));
    const out = logits(context, plan, normed, graph.input(`${prefix}.head`, 2), `${prefix}.head.bias`);
    const [zero, one, columns] = [graph.integers([0]), graph.integers([1]), graph.integers([1])];
    graph.output(`${prefix}.normed`, normed);
    graph.output(`${prefix}.first`, graph.node('Slice', [out, zero, one, columns]));
    graph.output(`${prefix}.log`, graph.node('LogSoftmax', [out], { axis: -1 }));
    return out;
  };
  graph.output('p.share', graph.node('Softmax', [branch('p', reference)], { axis: -1 }));
  branch('q', other);
  return context;
}
