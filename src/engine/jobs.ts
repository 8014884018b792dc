import type { TokenDivergence } from '../evaluate/divergence.js';
import type { DivergenceJob } from './evaluate-lane.js';
import type { LayerHalf } from '../graph/layer.js';
import type { QuantizeSettings } from './quantize-settings.js';
import type { Tap } from '../model/plan.js';
import type { Batch } from '../runtime/batches.js';
import type { RowStoreDescriptor } from '../runtime/row-store.js';

/** A model for a lane to work on: it opens the folder and derives the plan itself. */
export interface LaneSetup {
  readonly model: string;
  readonly assume: string | null;
  readonly providers: readonly string[];
  /** Run the model as round-to-nearest with `quantize`'s scheme would leave it, instead of as it is stored. */
  readonly roundToNearest: boolean;
  /** null for a lane that only runs the model. */
  readonly quantize: QuantizeSettings | null;
}

/** Routing of one layer, shared between lanes and the orchestrating thread. */
export interface SharedRouting {
  /** Int32, [tokens × topK]. */
  readonly chosen: SharedArrayBuffer;
  /** Float32, [tokens × topK]. */
  readonly weights: SharedArrayBuffer;
}

/** A weight [out, in] that stands in for a stored one; `key` is the stored one's `weightKey`. */
export interface WeightOverride {
  readonly key: string;
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

export interface SharedSums {
  readonly tap: Tap;
  readonly gram: Float32Array;
  readonly absolute: Float32Array;
  /** Inputs of sampled tokens, [tokens × features], and which tokens. */
  readonly sample: Float32Array;
  readonly sampledTokens: Int32Array;
}

/** The forward jobs of a lane. `layer` is an index into the plan. */
export interface ForwardJobs {
  /** Takes up a model in place of the one before; null only lets go of that. */
  open: { job: { readonly setup: LaneSetup | null }; result: null };
  /** Writes the embeddings of tokens [from, to) of `ids` into `hidden`. */
  embed: {
    job: {
      readonly ids: SharedArrayBuffer;
      readonly from: number;
      readonly to: number;
      /** Streams over the same tokens. */
      readonly into: readonly RowStoreDescriptor[];
      /** Rows that are zeros already, as whatever was just allocated: to be had by all lanes at once. */
      readonly cleared: readonly RowStoreDescriptor[];
    };
    result: null;
  };
  /** Runs batches through a layer or a half of it, all but its routed experts. */
  layer: {
    job: {
      readonly layer: number;
      readonly half: LayerHalf;
      /** What the mixer's output Linear reads: written by the first half, read by the second, null for a whole layer. */
      readonly mixerRows: RowStoreDescriptor | null;
      readonly batches: readonly Batch[];
      readonly hidden: RowStoreDescriptor;
      readonly expertsInput: RowStoreDescriptor | null;
      readonly routing: SharedRouting | null;
      readonly taps: readonly Tap[];
      /** One token in how many enters the taps' sums. */
      readonly stride: number;
      /** Tokens whose inputs are returned as they are, rising. */
      readonly sample: Int32Array;
      /** Weights to use instead of the stored ones. */
      readonly overrides: readonly WeightOverride[];
    };
    result: readonly SharedSums[];
  };
  /** Runs experts on the tokens routed to them and adds their outputs to `accumulator`, which is this lane's own. */
  experts: {
    job: {
      readonly layer: number;
      readonly experts: readonly number[];
      readonly expertsInput: RowStoreDescriptor;
      readonly accumulator: RowStoreDescriptor;
      readonly routing: SharedRouting;
      readonly assignments: ExpertAssignments;
    };
    result: null;
  };
  /** hidden[from … to) += scale · Σ accumulators, which are cleared for the next layer. */
  combine: {
    job: {
      readonly from: number;
      readonly to: number;
      readonly scale: number;
      readonly hidden: RowStoreDescriptor;
      readonly accumulators: readonly RowStoreDescriptor[];
    };
    result: null;
  };
  /** Writes rows [from, to) of a store to a file. */
  save: {
    job: { readonly store: RowStoreDescriptor; readonly path: string; readonly from: number; readonly to: number };
    result: null;
  };
  /** Logits [to − from, vocabulary] of rows of the last layer's output, and those rows after the final norm. */
  logits: {
    job: { readonly hidden: RowStoreDescriptor; readonly from: number; readonly to: number };
    result: { readonly logits: Float32Array; readonly normed: Float32Array };
  };
  divergence: { job: DivergenceJob; result: TokenDivergence };
}

/** Tokens by expert: slots [offsets[e], offsets[e+1]) of `slots` are positions token·topK + rank, in token order. */
export interface ExpertAssignments {
  readonly offsets: Int32Array;
  /** Int32. */
  readonly slots: SharedArrayBuffer;
}
