import type { ModelPlan } from '../model/plan.js';
import { bind, createBlockContext, norm, type BlockContext } from './context.js';
import type { Value } from './builder.js';

/**
 * Final norm and output head on `x` [rows, hidden]: outputs `normed` [rows, hidden] and `logits` [rows, width], where
 * the `head.weight` input holds `width` rows of the vocabulary.
 */
export function headGraph(plan: ModelPlan): BlockContext {
  const context = createBlockContext(new Set());
  const normed = norm(context, 'final_norm', plan.finalNorm, context.graph.input('x', 2));
  context.graph.output('normed', normed);
  context.graph.output('logits', logits(context, plan, normed, context.graph.input('head.weight', 2)));
  return context;
}

/** Logits of normed rows over the given rows of the vocabulary. */
export function logits(
  context: BlockContext,
  plan: ModelPlan,
  normed: Value,
  weight: Value,
  biasName = 'head.bias',
): Value {
  const { graph } = context;
  const { bias, divisor, softcap } = plan.head;
  const addend =
    bias === null ? [] : [bind(context, biasName, 1, { kind: 'vector', ref: { tensor: bias }, offset: 0 })];
  let out = graph.node('Gemm', [normed, weight, ...addend], { transB: 1 });
  if (divisor !== 1) out = graph.node('Div', [out, graph.floats([divisor], [])]);
  if (softcap === null) return out;
  const cap = graph.floats([softcap], []);
  return graph.node('Mul', [graph.node('Tanh', [graph.node('Div', [out, cap])]), cap]);
}
