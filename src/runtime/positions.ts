import type { AttentionPlan, LayerPlan, MaskPlan, RopePlan } from '../model/plan.js';
import type { Feed } from './sessions.js';

/** Large enough to vanish in softmax, small enough that adding a score cannot overflow to −∞ − (−∞). */
const MASKED = -3e38;

/** What a layer's mixer is fed with besides hidden states and weights, for sequences of `length` tokens. */
export function positionFeeds(layer: LayerPlan, length: number): Record<string, Feed> {
  const { mixer } = layer;
  switch (mixer.kind) {
    case 'attention':
      return {
        mask: maskFeed(mixer.mask, length),
        ...(mixer.rope === null ? {} : rotationFeeds(mixer.rope, length)),
        ...(mixer.temperature === null ? {} : { temperature: temperatureFeed(mixer.temperature, length) }),
      };
    case 'latent-attention':
      return { mask: maskFeed({ kind: 'causal' }, length), ...rotationFeeds(mixer.rope, length) };
    case 'gated-delta':
    case 'short-convolution':
      return {};
  }
}

/** Additive mask [length, length]: row q may see column k. */
export function maskFeed(mask: MaskPlan, length: number): Feed {
  const data = new Float32Array(length * length);
  for (let q = 0; q < length; q++) {
    const first = firstVisible(mask, q);
    data.fill(MASKED, q * length, q * length + first);
    data.fill(MASKED, q * length + q + 1, (q + 1) * length);
  }
  return { data, shape: [length, length] };
}

function firstVisible(mask: MaskPlan, query: number): number {
  switch (mask.kind) {
    case 'causal':
      return 0;
    case 'sliding':
      return Math.max(0, query - mask.window + 1);
    case 'chunked':
      return Math.floor(query / mask.size) * mask.size;
  }
}

/** cos and sin [length, rotaryDim / 2]. */
export function rotationFeeds(rope: RopePlan, length: number): { readonly cos: Feed; readonly sin: Feed } {
  const { inverseFrequencies: frequencies, attentionFactor } =
    rope.long !== null && length > rope.long.from ? rope.long : rope;
  const half = frequencies.length;
  const cos = new Float32Array(length * half);
  const sin = new Float32Array(length * half);
  for (let position = 0; position < length; position++) {
    for (let i = 0; i < half; i++) {
      // The reference multiplies in f32 before the cosine; so do we, or long contexts drift apart.
      const angle = Math.fround(position * Math.fround(frequencies[i]!));
      cos[position * half + i] = Math.cos(angle) * attentionFactor;
      sin[position * half + i] = Math.sin(angle) * attentionFactor;
    }
  }
  const shape = [length, half];
  return { cos: { data: cos, shape }, sin: { data: sin, shape } };
}

/** [length, 1] multipliers of the query. */
function temperatureFeed({ scale, floor }: NonNullable<AttentionPlan['temperature']>, length: number): Feed {
  const data = new Float32Array(length);
  for (let position = 0; position < length; position++) {
    data[position] = 1 + scale * Math.log(1 + Math.floor((position + 1) / floor));
  }
  return { data, shape: [length, 1] };
}
