import type { RoutingBatch } from '../coverage/routing.js';
import { InterruptedError } from '../errors.js';
import type { LayerHalf } from '../graph/layer.js';
import type { ModelPlan, MoePlan, Tap } from '../model/plan.js';
import { openRowStore, type RowStoreDescriptor } from '../runtime/row-store.js';
import { release, type Lanes } from '../runtime/workers.js';
import type { ExpertAssignments, ForwardJobs, SharedSums, WeightOverride } from './jobs.js';
import { accumulatorOf, type PassState } from './pass-state.js';

/** One layer's routing, ready for its experts. */
export interface LayerRouting {
  readonly moe: MoePlan;
  readonly assignments: ExpertAssignments;
  readonly batch: RoutingBatch;
}

type ForwardLanes = Pick<Lanes<ForwardJobs>, 'call' | 'count'>;

/** Embeds every token into the `hidden` of streams over the same tokens, and clears what the streams share. */
export async function embedTokens(lanes: ForwardLanes, streams: readonly PassState[]): Promise<void> {
  const [{ layout, accumulators }] = streams as [PassState];
  const { tokens, ids } = layout;
  const into = streams.map(({ hidden }) => hidden);
  await Promise.all(
    spans(tokens, lanes.count).map(([from, to], lane) =>
      lanes.call(lane, 'embed', { ids, from, to, into, cleared: accumulators }),
    ),
  );
}

export interface LayerBlocksOptions {
  /** Tokens whose inputs are returned beside the sums. */
  readonly sample?: Int32Array;
  readonly stride?: number;
  readonly overrides?: readonly WeightOverride[];
  readonly half?: LayerHalf;
  readonly mixerRows?: RowStoreDescriptor | null;
}

/**
 * Runs a layer, all but its routed experts, over all batches. Batches are dealt to lanes by position, not by who is
 * free, so that sums add up in the same order every time.
 */
export async function runLayerBlocks(
  lanes: ForwardLanes,
  state: PassState,
  layer: number,
  taps: readonly Tap[],
  { sample = new Int32Array(0), stride = 1, overrides = [], half = 'whole', mixerRows = null }: LayerBlocksOptions = {},
): Promise<readonly SharedSums[]> {
  const { hidden, expertsInput, routing } = state;
  const parts = await Promise.all(
    deal(state.batches, lanes.count).map((batches, lane) =>
      batches.length === 0
        ? Promise.resolve([])
        : lanes.call(lane, 'layer', {
            layer,
            half,
            mixerRows,
            batches,
            hidden,
            expertsInput,
            routing,
            taps,
            stride,
            sample,
            overrides,
          }),
    ),
  );
  return mergeSums(parts);
}

/** Adds the lanes' sums in lane order. */
export function mergeSums(parts: readonly (readonly SharedSums[])[]): readonly SharedSums[] {
  const merged = new Map<Tap, SharedSums>();
  for (const sums of parts.flat()) {
    const before = merged.get(sums.tap);
    if (before === undefined) {
      merged.set(sums.tap, sums);
      continue;
    }
    addInto(before.gram, sums.gram);
    addInto(before.absolute, sums.absolute);
    release([sums.gram]);
    merged.set(sums.tap, {
      ...before,
      sample: joined(before.sample, sums.sample),
      sampledTokens: joined(before.sampledTokens, sums.sampledTokens),
    });
  }
  return [...merged.values()];
}

function joined<T extends Float32Array | Int32Array>(a: T, b: T): T {
  const whole = new (a.constructor as new (length: number) => T)(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}

function addInto(target: Float32Array, values: Float32Array): void {
  for (let i = 0; i < target.length; i++) target[i]! += values[i]!;
}

/** Groups the routed slots by expert, in token order. */
export function assignExperts(plan: ModelPlan, state: PassState, layer: number): LayerRouting | null {
  const { feedForward } = plan.layers[layer]!;
  if (feedForward.kind !== 'moe' || state.routing === null) return null;
  const { topK, experts } = feedForward;
  const { tokens, sequenceOf, positionOf } = state.layout;
  const chosen = new Int32Array(state.routing.chosen, 0, tokens * topK);
  const offsets = offsetsOf(chosen, experts.length);
  const slots = new SharedArrayBuffer(Math.max(4, chosen.length * 4));
  placeSlots(chosen, offsets.slice(), new Int32Array(slots));
  return {
    moe: feedForward,
    assignments: { offsets, slots },
    batch: {
      layer,
      experts: experts.length,
      topK,
      sequenceOf,
      positionOf,
      chosen,
      weights: new Float32Array(state.routing.weights, 0, tokens * topK),
    },
  };
}

/** Where each expert's slots begin, and where the last one's end. */
function offsetsOf(chosen: Int32Array, experts: number): Int32Array {
  const offsets = new Int32Array(experts + 1);
  for (let slot = 0; slot < chosen.length; slot++) offsets[chosen[slot]! + 1]! += 1;
  for (let e = 0; e < experts; e++) offsets[e + 1]! += offsets[e]!;
  return offsets;
}

function placeSlots(chosen: Int32Array, next: Int32Array, slots: Int32Array): void {
  for (let slot = 0; slot < chosen.length; slot++) slots[next[chosen[slot]!]!++] = slot;
}

/** Deals experts to lanes by falling token count, each to the lane with the least so far: even, and always the same. */
export function dealExperts(
  { offsets }: ExpertAssignments,
  lanes: number,
  fixedCost = 0,
): readonly (readonly number[])[] {
  const count = (e: number): number => offsets[e + 1]! - offsets[e]!;
  const order = Array.from({ length: offsets.length - 1 }, (_, e) => e).sort((a, b) => count(b) - count(a) || a - b);
  const loads = Array.from({ length: lanes }, () => 0);
  const dealt = loads.map((): number[] => []);
  for (const e of order) {
    const lane = loads.indexOf(Math.min(...loads));
    loads[lane]! += count(e) + fixedCost;
    dealt[lane]!.push(e);
  }
  return dealt;
}

export async function runRoutedExperts(
  lanes: ForwardLanes,
  state: PassState,
  layer: number,
  routing: LayerRouting,
): Promise<void> {
  const { expertsInput } = state;
  if (expertsInput === null || state.routing === null) return;
  const shared = state.routing;
  await Promise.all(
    dealExperts(routing.assignments, lanes.count).map((experts, lane) =>
      lanes.call(lane, 'experts', {
        layer,
        experts,
        expertsInput,
        accumulator: accumulatorOf(state, lane, lanes.count),
        routing: shared,
        assignments: routing.assignments,
      }),
    ),
  );
}

/**
 * Whether anything reads what a layer puts out. A model of a single layer only ever stands for a larger one, and is worked
 * on like one of its inner layers (bench/real-layer.ts).
 */
export function feedsAnother({ layers }: ModelPlan, layer: number): boolean {
  return layers.length === 1 || layer + 1 < layers.length;
}

/** Adds to the residual stream what of the experts' outputs is not in it yet. */
export async function combineExperts(
  lanes: ForwardLanes,
  plan: ModelPlan,
  state: PassState,
  layer: number,
): Promise<void> {
  const { hidden, accumulators } = state;
  if (accumulators.length === 0) return;
  const scale = plan.layers[layer]!.residualScale;
  await Promise.all(
    spans(state.layout.tokens, lanes.count).map(([from, to], lane) =>
      lanes.call(lane, 'combine', { from, to, scale, hidden, accumulators }),
    ),
  );
}

export type PassEvent =
  | { readonly kind: 'layer-started'; readonly layer: number; readonly layers: number }
  | { readonly kind: 'routing'; readonly layer: number; readonly batch: RoutingBatch }
  | {
      readonly kind: 'layer-finished';
      readonly layer: number;
      readonly layers: number;
      readonly hidden: RowStoreDescriptor;
    };

export interface ForwardPassOptions {
  readonly signal?: AbortSignal | undefined;
  /** Nobody wants the final hidden states: the last layer is left behind its router. */
  readonly routingOnly?: boolean;
}

/**
 * The layer pass: walks the decoder layer by layer over all sequences and reports each layer's routing. The final
 * hidden states stay in `state.hidden`.
 */
export async function* forwardPass(
  lanes: ForwardLanes,
  plan: ModelPlan,
  state: PassState,
  { signal, routingOnly = false }: ForwardPassOptions = {},
): AsyncGenerator<PassEvent> {
  await embedTokens(lanes, [state]);
  const layers = plan.layers.length;
  for (let layer = 0; layer < layers; layer++) {
    if (signal?.aborted === true) throw new InterruptedError(`interrupted before layer ${layer}`);
    yield { kind: 'layer-started', layer, layers };
    await runLayerBlocks(lanes, state, layer, []);
    const routing = assignExperts(plan, state, layer);
    if (routing !== null) {
      yield { kind: 'routing', layer, batch: routing.batch };
      if (!routingOnly || layer + 1 < layers) {
        await runRoutedExperts(lanes, state, layer, routing);
        await combineExperts(lanes, plan, state, layer);
      }
    }
    yield { kind: 'layer-finished', layer, layers, hidden: state.hidden };
  }
}

/** Copies rows out of a store. */
export function readRows(descriptor: RowStoreDescriptor, from = 0, to = descriptor.rows): Float32Array {
  const store = openRowStore(descriptor);
  const rows = new Float32Array((to - from) * store.width);
  store.read(from, to - from, rows);
  store.close();
  return rows;
}

/** [0, total) in `parts` contiguous spans of nearly equal size; empty ones are left out. */
export function spans(total: number, parts: number): [from: number, to: number][] {
  return Array.from({ length: parts }, (_, i): [number, number] => [
    Math.floor((total * i) / parts),
    Math.floor((total * (i + 1)) / parts),
  ]).filter(([from, to]) => to > from);
}

function deal<T>(items: readonly T[], hands: number): readonly (readonly T[])[] {
  return Array.from({ length: hands }, (_, hand) => items.filter((_item, i) => i % hands === hand));
}
