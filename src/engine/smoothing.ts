import { chooseScales } from '../awq/scale-candidates.js';
import type { Targets } from '../awq/targets.js';
import { rowDivisors } from '../model/edges.js';
import type { LayerPlan, Linear, SmoothingEdge } from '../model/plan.js';
import type { EdgeReport } from './layer-report.js';
import type { Settle } from './search-edge.js';

/** What smoothing did to a layer: every tensor that takes or absorbs a scale, by module or norm. */
export interface Smoothing {
  /** Reader module → s, multiplies its input columns. */
  readonly inputs: Map<string, Float32Array>;
  /** Source module → s, divides its output rows and its bias. */
  readonly outputs: Map<string, Float32Array>;
  /** Norm weight tensor → s, divides it (and its bias). */
  readonly norms: Map<string, { readonly scales: Float32Array; readonly offset: 0 | 1; readonly bias: string | null }>;
}

export function noSmoothing(): Smoothing {
  return { inputs: new Map(), outputs: new Map(), norms: new Map() };
}

export function applyEdge(smoothing: Smoothing, edge: SmoothingEdge, scales: Float32Array): void {
  for (const { module } of edge.readers) smoothing.inputs.set(module, scales);
  if (edge.source.kind === 'norm') {
    const { weight, offset, bias } = edge.source.norm;
    smoothing.norms.set(weight, { scales, offset, bias });
  } else {
    smoothing.outputs.set(edge.source.linear.module, rowDivisors(edge.source, scales));
  }
}

/** Chooses an edge's scales by the candidates' losses, applies them, and reports. */
export function settleInto(smoothing: Smoothing, edges: EdgeReport[]): Settle {
  return (edge, candidates, losses) => {
    const { scales, ratio, lossBefore, loss } = chooseScales(candidates, losses);
    edges.push({ edge: edge.name, ratio, lossBefore, loss });
    if (ratio !== null) applyEdge(smoothing, edge, scales);
  };
}

/**
 * The edges of a layer that are worth smoothing and can be: some reader is quantized, and whatever else takes a scale is
 * a tensor of its own that can be rewritten, not a part of a fused one.
 */
export function usableEdges(layer: LayerPlan, targets: Targets): SmoothingEdge[] {
  return layer.edges.filter(({ readers, source }) => {
    if (!readers.some(({ module }) => targets.quantized.has(module))) return false;
    const rewritten = readers.filter(({ module }) => !targets.quantized.has(module));
    if (source.kind === 'linear' && !targets.quantized.has(source.linear.module)) rewritten.push(source.linear);
    return rewritten.every(isWhole) && (source.kind === 'norm' || hasOwnBias(source.linear, targets));
  });
}

function isWhole({ weight }: Linear): boolean {
  return weight.index === undefined && weight.rows === undefined && weight.transposed !== true;
}

/** A bias that is part of a fused tensor can only be divided if it is written anew, with the quantized Linear. */
function hasOwnBias({ bias, module }: Linear, targets: Targets): boolean {
  return bias === null || targets.quantized.has(module) || (bias.index === undefined && bias.rows === undefined);
}
