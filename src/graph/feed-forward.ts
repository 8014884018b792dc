import type { DensePlan, ExpertPlan, MoePlan, SharedExpertPlan, Tap } from '../model/plan.js';
import { gated } from './activation.js';
import type { Value } from './builder.js';
import { accumulate, createBlockContext, linear, split, tap, type BlockContext } from './context.js';

/** down(activation(gate·x) ⊙ up·x) on x [rows, hidden]. */
export function dense(context: BlockContext, name: string, plan: DensePlan, x: Value, downTap: Tap): Value {
  const { graph } = context;
  let gate: Value;
  let up: Value;
  if (plan.projections.kind === 'fused') {
    const joint = linear(context, `${name}.gate_up`, plan.projections.gateUp, x);
    const width = plan.projections.gateUp.outFeatures / 2;
    [gate, up] = split(graph, joint, [width, width], 1);
  } else {
    gate = linear(context, `${name}.gate`, plan.projections.gate, x);
    up = linear(context, `${name}.up`, plan.projections.up, x);
  }
  const inner = gated(graph, plan.activation, gate, up);
  tap(context, downTap, inner);
  return linear(context, `${name}.down`, plan.down, inner);
}

/** The expert that every token passes, behind its own sigmoid gate where the family has one. */
export function sharedExpert(context: BlockContext, plan: SharedExpertPlan, x: Value): Value {
  const out = dense(context, 'shared', plan.dense, x, 'shared-down');
  if (plan.gate === null) return out;
  const gate = context.graph.node('Sigmoid', [linear(context, 'shared_gate', plan.gate, x)]);
  return context.graph.node('Mul', [out, gate]);
}

/** Which statistics an expert's graph returns. */
export interface ExpertStatistics {
  readonly input: boolean;
  readonly inner: boolean;
  /** Also return the input of down itself, `rows` [rows, intermediate]. */
  readonly rows?: boolean;
  /** false: nothing but statistics, so that down need not run. */
  readonly output?: boolean;
}

/**
 * One routed expert on the tokens routed to it: inputs `x` [rows, hidden] and `routing` [rows, 1], output `y` [rows,
 * hidden], already weighted. Statistics are of x as the expert's Linears see it (llama4 weights the input).
 */
export function expertGraph(plan: MoePlan, expert: ExpertPlan, statistics: ExpertStatistics): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  let x = graph.input('x', 2);
  const routing = graph.input('routing', 2);
  if (plan.weightOn === 'input') x = graph.node('Mul', [x, routing]);
  if (statistics.input) accumulate(graph, 'input', x);
  const gate = linear(context, 'gate', expert.gate, x);
  const up = linear(context, 'up', expert.up, x);
  const inner = gated(graph, plan.activation, gate, up);
  if (statistics.inner) accumulate(graph, 'inner', inner);
  if (statistics.rows === true) graph.output('rows', inner);
  if (statistics.output === false) return context;
  const out = linear(context, 'down', expert.down, inner);
  graph.output('y', plan.weightOn === 'output' ? graph.node('Mul', [out, routing]) : out);
  return context;
}
