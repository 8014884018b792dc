import { feedForwardReaders, mixerReaders } from './linears.js';
import type { DensePlan, LayerPlan, Linear, SmoothingEdge } from './plan.js';

/**
 * The smoothing edges of a plain pre-norm layer: input norm → mixer, feed-forward norm → gate and up (experts, shared
 * expert and router alike), what a mixer has within, up → down of the dense or shared block and of every expert.
 */
export function preNormEdges(layer: Omit<LayerPlan, 'edges'>): SmoothingEdge[] {
  const edges: SmoothingEdge[] = [];
  const { inputNorm, mixer, feedForwardNorm, feedForward } = layer;
  if (inputNorm !== null) {
    edges.push({
      name: 'input_norm → mixer',
      source: { kind: 'norm', norm: inputNorm },
      readers: mixerReaders(mixer),
      tap: 'mixer-input',
    });
  }
  edges.push(...valueEdges(mixer), ...latentEdges(mixer), ...convolutionEdges(mixer));
  if (feedForwardNorm !== null) {
    edges.push({
      name: 'feed_forward_norm → gate, up',
      source: { kind: 'norm', norm: feedForwardNorm },
      readers: feedForwardReaders(feedForward),
      tap: 'feed-forward-input',
    });
  }
  edges.push(...downEdges(feedForward));
  return edges;
}

/** v → o: valid when every value head feeds exactly one query head and nothing stands between. */
export function valueEdges(mixer: LayerPlan['mixer']): SmoothingEdge[] {
  if (mixer.kind !== 'attention' || mixer.clip !== null || mixer.heads !== mixer.keyValueHeads) return [];
  const { projections, output } = mixer;
  const source: SmoothingEdge['source'] =
    projections.kind === 'separate'
      ? { kind: 'linear', linear: projections.value }
      : { kind: 'linear', linear: projections.queryKeyValue, rows: lastRows(projections.queryKeyValue, output) };
  return [{ name: 'v → o', source, readers: [output], tap: 'mixer-output' }];
}

/** The norms within latent attention, each of which one Linear reads. */
export function latentEdges(mixer: LayerPlan['mixer']): SmoothingEdge[] {
  if (mixer.kind !== 'latent-attention') return [];
  const { query, keyValueNorm, keyValueUp } = mixer;
  const keyValue: SmoothingEdge = {
    name: 'kv_norm → kv_up',
    source: { kind: 'norm', norm: keyValueNorm },
    readers: [keyValueUp],
    tap: 'latent-key-value',
  };
  if (query.kind === 'direct') return [keyValue];
  const source = { kind: 'norm', norm: query.norm } as const;
  return [{ name: 'q_norm → q_up', source, readers: [query.up], tap: 'latent-query' }, keyValue];
}

/** The gate behind a short convolution multiplies what the output reads: it is the second third of the input Linear. */
export function convolutionEdges(mixer: LayerPlan['mixer']): SmoothingEdge[] {
  if (mixer.kind !== 'short-convolution') return [];
  const { input, output } = mixer;
  const rows = { from: output.inFeatures, to: 2 * output.inFeatures };
  const source = { kind: 'linear', linear: input, rows } as const;
  return [{ name: 'gate → out', source, readers: [output], tap: 'mixer-output' }];
}

/** up → down: valid when the activation is applied to gate alone, so that up's rows scale the product linearly. */
export function downEdges(feedForward: LayerPlan['feedForward']): SmoothingEdge[] {
  if (feedForward.kind === 'dense') return denseDownEdges(feedForward, 'dense-down');
  if (feedForward.activation.kind === 'clamped-swiglu') return [];
  const experts = feedForward.experts.map(({ up, down }): SmoothingEdge => ({
    name: 'up → down',
    source: { kind: 'linear', linear: up },
    readers: [down],
    tap: 'expert-down',
  }));
  return [...experts, ...(feedForward.shared === null ? [] : denseDownEdges(feedForward.shared.dense, 'shared-down'))];
}

function denseDownEdges(
  { projections, down, activation }: DensePlan,
  tap: 'dense-down' | 'shared-down',
): SmoothingEdge[] {
  if (activation.kind === 'clamped-swiglu') return [];
  const source: SmoothingEdge['source'] =
    projections.kind === 'separate'
      ? { kind: 'linear', linear: projections.up }
      : { kind: 'linear', linear: projections.gateUp, rows: lastRows(projections.gateUp, down) };
  return [{ name: 'up → down', source, readers: [down], tap }];
}

/** The part of a fused Linear whose output the reader takes: v is the last of q, k, v, and up the last of gate, up. */
function lastRows({ outFeatures }: Linear, { inFeatures }: Linear): { readonly from: number; readonly to: number } {
  return { from: outFeatures - inFeatures, to: outFeatures };
}

/** An edge by its modules' names: what absorbs 1/s, and the Linears whose inputs take s. */
export function edgeNames({ source, readers }: SmoothingEdge): { smooth: string; readers: readonly string[] } {
  const smooth = source.kind === 'norm' ? source.norm.weight.replace(/\.weight$/, '') : source.linear.module;
  return { smooth, readers: readers.map(({ module }) => module) };
}

/** What each output row of an edge's source Linear is divided by: s on the rows that feed the readers, 1 elsewhere. */
export function rowDivisors(
  { linear, rows }: Extract<SmoothingEdge['source'], { kind: 'linear' }>,
  scales: Float32Array,
): Float32Array {
  if (rows === undefined) return scales;
  const divisors = new Float32Array(linear.outFeatures).fill(1);
  divisors.set(scales, rows.from);
  return divisors;
}
