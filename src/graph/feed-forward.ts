import type { DensePlan, ExpertPlan, MoePlan, SharedExpertPlan, Tap } from '../model/plan.js';
import { gated } from './activation.js';
import type { Value } from './builder.js';
import {
  accumulate,
  accumulateGram,
  everyRow,
  createBlockContext,
  linear,
  linearBindings,
  linearOperands,
  split,
  tap,
  type Binding,
  type BlockContext,
} from './context.js';

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

/** What an expert's graph returns. */
export interface ExpertOutputs {
  /** One row in how many enters the statistics below, from the first; 1 unless told. */
  readonly stride?: number;
  /** XᵀX of the inputs of gate and up. */
  readonly input: boolean;
  /** XᵀX and Σ|x| of the inputs of down. */
  readonly inner: boolean;
  /** The inputs of down themselves, `rows` [rows, intermediate]. */
  readonly rows: boolean;
  /** The output `y`; without it, down does not run. */
  readonly output: boolean;
}

/**
 * One routed expert on the tokens routed to it: inputs `x` [rows, hidden], `routing` [rows, 1] and `sum` [rows, hidden],
 * output `y` = sum + routing · expert(x). Statistics are of x as the expert's Linears see it (llama4 weights the input).
 */
export function expertGraph(plan: MoePlan, expert: ExpertPlan, outputs: ExpertOutputs): BlockContext {
  const context = createBlockContext(new Set());
  const { graph } = context;
  const routing = (): Value => graph.input('routing', 2);
  let x = graph.input('x', 2);
  if (plan.weightOn === 'input') x = graph.node('Mul', [x, routing()]);
  const { stride = 1 } = outputs;
  if (outputs.input) accumulateGram(graph, 'input', everyRow(graph, x, stride), stride);
  if (!outputs.inner && !outputs.rows && !outputs.output) return context;
  const gate = linear(context, 'gate', expert.gate, x);
  const up = linear(context, 'up', expert.up, x);
  const inner = gated(graph, plan.activation, gate, up);
  if (outputs.inner) accumulate(graph, 'inner', everyRow(graph, inner, stride), stride);
  if (outputs.rows) graph.output('rows', inner);
  if (!outputs.output) return context;
  const sum = graph.input('sum', 2);
  const { down } = expert;
  if (plan.weightOn === 'output' && down.bias === null) {
    // Weighting the narrower side leaves the sum to Gemm.
    const weight = linearOperands(context, 'down', down);
    graph.output('y', graph.node('Gemm', [graph.node('Mul', [inner, routing()]), ...weight, sum], { transB: 1 }));
    return context;
  }
  const out = linear(context, 'down', down, inner);
  graph.output('y', graph.node('Add', [sum, plan.weightOn === 'output' ? graph.node('Mul', [out, routing()]) : out]));
  return context;
}

/** What an expert's graph is fed with besides its rows: the same names for every expert of a block. */
export function expertBindings({ gate, up, down }: ExpertPlan): ReadonlyMap<string, Binding> {
  return new Map([...linearBindings('gate', gate), ...linearBindings('up', up), ...linearBindings('down', down)]);
}
