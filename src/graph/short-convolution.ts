import type { ShortConvolutionPlan } from '../model/plan.js';
import type { SequenceInputs } from './attention.js';
import { bind, linear, reshape, split, type BlockContext } from './context.js';
import type { Value } from './builder.js';

/**
 * LFM2's gated short convolution over x [batch·length, hidden], returning what its output Linear reads:
 * [b | c | u] = in(x), out(c ⊙ conv(b ⊙ u)).
 */
export function shortConvolution(
  context: BlockContext,
  plan: ShortConvolutionPlan,
  x: Value,
  { batchAndLength }: SequenceInputs,
): Value {
  const { graph } = context;
  const channels = plan.input.outFeatures / 3;
  const [before, after, signal] = split(
    graph,
    linear(context, 'convolution_input', plan.input, x),
    [channels, channels, channels],
    1,
  );
  const gated = sequences(context, graph.node('Mul', [before, signal]), batchAndLength, channels);
  const convolved = causalConvolution(context, plan.convolution, channels, channelsFirst(context, gated));
  const back = graph.node('Transpose', [convolved], { perm: [0, 2, 1] });
  return graph.node('Mul', [after, reshape(graph, back, [-1, channels])]);
}

/** [batch·length, features] → [batch, length, features]. */
export function sequences({ graph }: BlockContext, x: Value, batchAndLength: Value, features: number): Value {
  return graph.node('Reshape', [x, graph.node('Concat', [batchAndLength, graph.integers([features])], { axis: 0 })]);
}

/** [batch, length, channels] → [batch, channels, length]. */
export function channelsFirst({ graph }: BlockContext, x: Value): Value {
  return graph.node('Transpose', [x], { perm: [0, 2, 1] });
}

/** Depthwise convolution of x [batch, channels, length] that sees the last `kernel` positions up to its own. */
export function causalConvolution(
  context: BlockContext,
  plan: ShortConvolutionPlan['convolution'],
  channels: number,
  x: Value,
): Value {
  const { weight, bias, kernel } = plan;
  const filter = bind(context, 'convolution.weight', 3, { kind: 'raw', tensor: weight, shape: [channels, 1, kernel] });
  const addend =
    bias === null ? [] : [bind(context, 'convolution.bias', 1, { kind: 'vector', ref: { tensor: bias }, offset: 0 })];
  return context.graph.node('Conv', [x, filter, ...addend], {
    group: channels,
    kernel_shape: [kernel],
    pads: [kernel - 1, 0],
  });
}
