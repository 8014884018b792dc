import type { Targets } from '../awq/targets.js';
import { linearsByTap } from '../model/linears.js';
import type { LayerPlan, Tap } from '../model/plan.js';

/**
 * The statistics a layer's Linears are quantized with.
 *
 * @param follows routed experts take theirs from the stream that follows the quantized layers
 */
export function wantedTaps(layer: LayerPlan, targets: Targets, follows = false): Tap[] {
  const { feedForward } = layer;
  const ofExperts = new Set(
    feedForward.kind === 'moe' ? feedForward.experts.flatMap(({ gate, up }) => [gate, up]) : [],
  );
  const taps = [...linearsByTap(layer)]
    .filter(([, linears]) => linears.some((linear) => targets.quantized.has(linear.module) && !ofExperts.has(linear)))
    .map(([tap]) => tap);
  const hasExperts = feedForward.kind === 'moe' && targets.quantized.has(feedForward.experts[0]!.down.module);
  return hasExperts && !follows && !taps.includes('feed-forward-input') ? [...taps, 'feed-forward-input'] : taps;
}
