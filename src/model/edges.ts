import { feedForwardReaders, mixerReaders } from './linears.js';
import type { DensePlan, LayerPlan, SmoothingEdge } from './plan.js';

/**
 * The smoothing edges of a plain pre-norm layer: input norm → mixer, feed-forward norm → gate and up (experts, shared
 * expert and router alike), v → o where the head counts allow, up → down of the dense or shared block and of every expert.
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
  edges.push(...valueEdges(mixer));
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
  if (mixer.kind !== 'attention' || mixer.projections.kind !== 'separate' || mixer.clip !== null) return [];
  if (mixer.heads !== mixer.keyValueHeads) return [];
  const source = { kind: 'linear', linear: mixer.projections.value, repeat: 1 } as const;
  return [{ name: 'v → o', source, readers: [mixer.output], tap: 'mixer-output' }];
}

/** up → down: valid when the activation is applied to gate alone, so that up's rows scale the product linearly. */
export function downEdges(feedForward: LayerPlan['feedForward']): SmoothingEdge[] {
  if (feedForward.kind === 'dense') return denseDownEdges(feedForward, 'dense-down');
  if (feedForward.activation.kind === 'clamped-swiglu') return [];
  const experts = feedForward.experts.map(({ up, down }): SmoothingEdge => ({
    name: 'up → down',
    source: { kind: 'linear', linear: up, repeat: 1 },
    readers: [down],
    tap: 'expert-down',
  }));
  return [...experts, ...(feedForward.shared === null ? [] : denseDownEdges(feedForward.shared.dense, 'shared-down'))];
}

function denseDownEdges(
  { projections, down, activation }: DensePlan,
  tap: 'dense-down' | 'shared-down',
): SmoothingEdge[] {
  if (projections.kind === 'fused' || activation.kind === 'clamped-swiglu') return [];
  return [{ name: 'up → down', source: { kind: 'linear', linear: projections.up, repeat: 1 }, readers: [down], tap }];
}
