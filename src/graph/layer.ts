import type { LayerPlan, Tap } from '../model/plan.js';
import { attention, type SequenceInputs } from './attention.js';
import type { Value } from './builder.js';
import { createBlockContext, linear, norm, reshape, tap, type BlockContext } from './context.js';
import { dense, sharedExpert } from './feed-forward.js';
import { gatedDelta } from './gated-delta.js';
import { latentAttention } from './latent-attention.js';
import type { ScoreParts } from './scaled-dot-product.js';
import { shortConvolution } from './short-convolution.js';

/** A layer as a whole, or its two halves: up to what its mixer's output Linear reads, and from there on. */
export type LayerHalf = 'whole' | 'mixer' | 'rest';

export interface LayerGraphOptions {
  /** Parts in which attention is processed. */
  readonly parts?: ScoreParts;
  readonly half?: LayerHalf;
  /** One token in how many enters the statistics. */
  readonly stride?: number;
}

/**
 * Everything of a decoder layer but its routed experts. Input `hidden` [batch, length, hidden]; output `hidden_out` [rows,
 * hidden]. A layer with experts also outputs `experts.input` [rows, hidden] and `router.logits` [rows, experts], and
 * its `hidden_out` still lacks the routed experts' share. The first half outputs `mixer.rows` [rows, width] instead, which
 * is one more input of the second.
 */
export function layerGraph(
  plan: LayerPlan,
  hiddenSize: number,
  taps: ReadonlySet<Tap>,
  { parts = { heads: 1, queries: 1 }, half = 'whole', stride = 1 }: LayerGraphOptions = {},
): BlockContext {
  const context = createBlockContext(taps, stride);
  const { graph } = context;
  const hidden = graph.input('hidden', 3);
  const residual = reshape(graph, hidden, [-1, hiddenSize]);
  const rows = half === 'rest' ? graph.input('mixer.rows', 2) : mixerRows(context, plan, hidden, residual, parts);
  if (half === 'mixer') {
    graph.output('mixer.rows', rows);
    return context;
  }
  tap(context, 'mixer-output', rows);
  let mixed = linear(context, 'output', plan.mixer.output, rows);
  if (plan.mixerOutputNorm !== null) mixed = norm(context, 'mixer_output_norm', plan.mixerOutputNorm, mixed);
  const middle = add(context, plan, residual, mixed);
  const input =
    plan.feedForwardNorm === null ? middle : norm(context, 'feed_forward_norm', plan.feedForwardNorm, middle);
  tap(context, 'feed-forward-input', input);
  if (plan.feedForward.kind === 'dense') {
    let out = dense(context, 'dense', plan.feedForward, input, 'dense-down');
    if (plan.feedForwardOutputNorm !== null)
      out = norm(context, 'feed_forward_output_norm', plan.feedForwardOutputNorm, out);
    graph.output('hidden_out', add(context, plan, middle, out));
    return context;
  }
  graph.output('router.logits', linear(context, 'router', plan.feedForward.router, input));
  graph.output('experts.input', input);
  const { shared } = plan.feedForward;
  graph.output(
    'hidden_out',
    shared === null ? middle : add(context, plan, middle, sharedExpert(context, shared, input)),
  );
  return context;
}

function mixerRows(context: BlockContext, plan: LayerPlan, hidden: Value, residual: Value, parts: ScoreParts): Value {
  const { graph } = context;
  const batchAndLength = graph.node('Slice', [graph.node('Shape', [hidden]), graph.integers([0]), graph.integers([2])]);
  const input = plan.inputNorm === null ? residual : norm(context, 'input_norm', plan.inputNorm, residual);
  tap(context, 'mixer-input', input);
  return mix(context, plan, input, { batchAndLength, parts });
}

function mix(context: BlockContext, plan: LayerPlan, x: Value, inputs: SequenceInputs): Value {
  switch (plan.mixer.kind) {
    case 'attention':
      return attention(context, plan.mixer, x, inputs);
    case 'latent-attention':
      return latentAttention(context, plan.mixer, x, inputs);
    case 'gated-delta':
      return gatedDelta(context, plan.mixer, x, inputs);
    case 'short-convolution':
      return shortConvolution(context, plan.mixer, x, inputs);
  }
}

function add(context: BlockContext, plan: LayerPlan, residual: Value, update: Value): Value {
  const { graph } = context;
  const scaled =
    plan.residualScale === 1 ? update : graph.node('Mul', [update, graph.floats([plan.residualScale], [])]);
  return graph.node('Add', [residual, scaled]);
}
