import type { LayerPlan, ModelPlan } from '../model/plan.js';
import { planBatches, type Batch } from '../runtime/batches.js';
import { createRowStore, type RowStoreDescriptor } from '../runtime/row-store.js';
import type { SharedRouting } from './jobs.js';

/** Sequences laid end to end: sequence i owns rows [offsets[i], offsets[i+1]). */
export interface TokenLayout {
  readonly offsets: Int32Array;
  readonly tokens: number;
  /** Int32 token ids, shared with the lanes. */
  readonly ids: SharedArrayBuffer;
  /** The sequence of each token, and its position there. */
  readonly sequenceOf: Int32Array;
  readonly positionOf: Int32Array;
}

export function layOut(sequences: readonly { readonly inputIds: Int32Array }[]): TokenLayout {
  const offsets = new Int32Array(sequences.length + 1);
  sequences.forEach(({ inputIds }, i) => (offsets[i + 1] = offsets[i]! + inputIds.length));
  const tokens = offsets.at(-1) ?? 0;
  const ids = new SharedArrayBuffer(Math.max(4, tokens * 4));
  const all = new Int32Array(ids);
  sequences.forEach(({ inputIds }, i) => all.set(inputIds, offsets[i]));
  return { offsets, tokens, ids, ...placesOf(offsets, tokens) };
}

function placesOf(offsets: Int32Array, tokens: number): Pick<TokenLayout, 'sequenceOf' | 'positionOf'> {
  const sequenceOf = new Int32Array(tokens);
  const positionOf = new Int32Array(tokens);
  for (let s = 0; s + 1 < offsets.length; s++) {
    const first = offsets[s]!;
    for (let row = first; row < offsets[s + 1]!; row++) {
      sequenceOf[row] = s;
      positionOf[row] = row - first;
    }
  }
  return { sequenceOf, positionOf };
}

/** The buffers of a pass over one set of sequences. */
export interface PassState {
  readonly layout: TokenLayout;
  readonly batches: readonly Batch[];
  readonly hidden: RowStoreDescriptor;
  readonly expertsInput: RowStoreDescriptor | null;
  /** Where lanes add up their experts' outputs, left cleared; see `accumulatorOf`. */
  readonly accumulators: readonly RowStoreDescriptor[];
  readonly routing: SharedRouting | null;
}

/**
 * A second stream over the same tokens. Streams take turns in a layer's experts, and accumulators are left cleared, so
 * one set of them serves both.
 */
export function createFollower(plan: ModelPlan, { layout, accumulators }: PassState, spill?: SpillPath): PassState {
  const follower: SpillPath = (name) => spill?.(`follower-${name}`) ?? null;
  return { ...createPassState(plan, layout, 0, { spill: follower, halves: true }), accumulators };
}

/**
 * The accumulators of some lanes, by name. The first lane needs none: it adds to the hidden states themselves, which nobody
 * else touches meanwhile; unless outputs are scaled before they join them.
 */
export function accumulatorNames({ layers }: ModelPlan, lanes: number): string[] {
  if (layers.every(({ feedForward }) => feedForward.kind !== 'moe')) return [];
  const names = Array.from({ length: lanes }, (_, lane) => `accumulator-${lane}`);
  return layers.some(({ residualScale }) => residualScale !== 1) ? names : names.slice(1);
}

/** What a lane adds its experts' outputs to, so that lanes never write the same row and sums keep one order. */
export function accumulatorOf({ hidden, accumulators }: PassState, lane: number, lanes: number): RowStoreDescriptor {
  return accumulators[lane - (lanes - accumulators.length)] ?? hidden;
}

/** Where a layer's halves meet: the storage of the experts' inputs, which are there only afterwards. */
export function mixerRowsOf({ expertsInput }: PassState, { mixer }: LayerPlan): RowStoreDescriptor {
  if (expertsInput === null) throw new Error('the pass has no room for the halves of a layer');
  return { ...expertsInput, width: mixer.output.inFeatures };
}

/** Where a row store goes: null keeps it in memory. */
export type SpillPath = (name: string) => string | null;

export interface PassOptions {
  readonly spill?: SpillPath | undefined;
  /** Layers run in halves. */
  readonly halves?: boolean;
}

export function createPassState(
  plan: ModelPlan,
  layout: TokenLayout,
  lanes: number,
  { spill = () => null, halves = false }: PassOptions = {},
): PassState {
  const { tokens } = layout;
  const moes = plan.layers.flatMap(({ feedForward }) => (feedForward.kind === 'moe' ? [feedForward] : []));
  const topK = Math.max(0, ...moes.map((moe) => moe.topK));
  const heads = Math.max(1, ...plan.layers.map(({ mixer }) => ('heads' in mixer ? mixer.heads : 1)));
  const store = (name: string, stride?: number): RowStoreDescriptor =>
    createRowStore(tokens, plan.hiddenSize, spill(name), stride);
  const widest = Math.max(plan.hiddenSize, ...plan.layers.map(({ mixer }) => mixer.output.inFeatures));
  return {
    layout,
    batches: planBatches(layout.offsets, heads),
    hidden: store('hidden'),
    expertsInput: halves ? store('experts-input', widest) : moes.length === 0 ? null : store('experts-input'),
    accumulators: accumulatorNames(plan, lanes).map((name) => store(name)),
    routing:
      moes.length === 0
        ? null
        : { chosen: new SharedArrayBuffer(tokens * topK * 4), weights: new SharedArrayBuffer(tokens * topK * 4) },
  };
}
