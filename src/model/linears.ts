import type { DensePlan, LayerPlan, Linear, MixerPlan, Tap } from './plan.js';

/** The Linears that read a layer's mixer input. */
export function mixerReaders(mixer: LayerPlan['mixer']): readonly Linear[] {
  switch (mixer.kind) {
    case 'attention':
      return mixer.projections.kind === 'fused'
        ? [mixer.projections.queryKeyValue]
        : [mixer.projections.query, mixer.projections.key, mixer.projections.value];
    case 'latent-attention':
      return [mixer.query.kind === 'direct' ? mixer.query.projection : mixer.query.down, mixer.keyValueDown];
    case 'gated-delta':
      return mixer.projections.kind === 'fused'
        ? [mixer.projections.qkvz, mixer.projections.ba]
        : [mixer.projections.qkv, mixer.projections.z, mixer.projections.b, mixer.projections.a];
    case 'short-convolution':
      return [mixer.input];
  }
}

/** The Linears that read a layer's feed-forward input, routers and shared-expert gates included. */
export function feedForwardReaders(feedForward: LayerPlan['feedForward']): readonly Linear[] {
  if (feedForward.kind === 'dense') return denseReaders(feedForward);
  const { router, experts, shared } = feedForward;
  return [
    ...experts.flatMap(({ gate, up }) => [gate, up]),
    ...(shared === null ? [] : [...denseReaders(shared.dense), ...(shared.gate === null ? [] : [shared.gate])]),
    router,
  ];
}

function denseReaders({ projections }: DensePlan): readonly Linear[] {
  return projections.kind === 'fused' ? [projections.gateUp] : [projections.gate, projections.up];
}

/** The Linears of a mixer, in sets that runtimes fuse into one. */
export function mixerLinears(mixer: MixerPlan): readonly (readonly Linear[])[] {
  switch (mixer.kind) {
    case 'attention':
      return [mixerReaders(mixer), [mixer.output]];
    case 'latent-attention': {
      const { query, keyValueDown, keyValueUp, output } = mixer;
      // vLLM fuses q_a_proj and kv_a_proj_with_mqa.
      if (query.kind === 'direct') return [[query.projection], [keyValueDown], [keyValueUp], [output]];
      return [[query.down, keyValueDown], [query.up], [keyValueUp], [output]];
    }
    case 'gated-delta': {
      const { projections, output } = mixer;
      if (projections.kind === 'fused') return [[projections.qkvz], [projections.ba], [output]];
      return [[projections.qkv, projections.z], [projections.b, projections.a], [output]];
    }
    case 'short-convolution':
      return [[mixer.input], [mixer.output]];
  }
}

/** Every Linear of a layer, in the order of the forward pass. */
export function layerLinears({ mixer, feedForward }: LayerPlan): readonly Linear[] {
  const downs =
    feedForward.kind === 'dense'
      ? [feedForward.down]
      : [
          ...feedForward.experts.map(({ down }) => down),
          ...(feedForward.shared === null ? [] : [feedForward.shared.dense.down]),
        ];
  return [...mixerLinears(mixer).flat(), ...feedForwardReaders(feedForward), ...downs];
}

/** Linears that read one input, by the tap that sees it; an MoE layer's experts and their downs are left out. */
export function linearsByTap({ mixer, feedForward }: LayerPlan): ReadonlyMap<Tap, readonly Linear[]> {
  const taps = new Map<Tap, readonly Linear[]>([['mixer-input', mixerReaders(mixer)]]);
  taps.set('mixer-output', [mixer.output]);
  if (mixer.kind === 'latent-attention') {
    if (mixer.query.kind === 'low-rank') taps.set('latent-query', [mixer.query.up]);
    taps.set('latent-key-value', [mixer.keyValueUp]);
  }
  if (feedForward.kind === 'dense') {
    taps.set('feed-forward-input', denseReaders(feedForward));
    taps.set('dense-down', [feedForward.down]);
    return taps;
  }
  const { shared, router } = feedForward;
  taps.set('feed-forward-input', [
    ...(shared === null ? [] : denseReaders(shared.dense)),
    ...(shared?.gate ? [shared.gate] : []),
    router,
  ]);
  if (shared !== null) taps.set('shared-down', [shared.dense.down]);
  return taps;
}
