import type { Activation } from '../model/plan.js';
import type { GraphBuilder, Value } from './builder.js';

/** activation(gate) ⊙ up, elementwise on two values of one shape. */
export function gated(graph: GraphBuilder, activation: Activation, gate: Value, up: Value): Value {
  switch (activation.kind) {
    case 'silu':
      return graph.node('Mul', [graph.node('QuickGelu', [gate], { alpha: { float: 1 } }), up]);
    case 'gelu-tanh':
      return graph.node('Mul', [graph.node('Gelu', [gate], { approximate: 'tanh' }), up]);
    case 'gelu':
      return graph.node('Mul', [graph.node('Gelu', [gate], { approximate: 'none' }), up]);
    case 'clamped-swiglu': {
      const { alpha, limit } = activation;
      const clampedGate = graph.node('Clip', [gate, null, graph.floats([limit], [])]);
      const clampedUp = graph.node('Clip', [up, graph.floats([-limit], []), graph.floats([limit], [])]);
      const glu = graph.node('QuickGelu', [clampedGate], { alpha: { float: alpha } });
      return graph.node('Mul', [graph.node('Add', [clampedUp, graph.floats([1], [])]), glu]);
    }
  }
}
