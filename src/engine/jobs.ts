import type { Tap } from '../model/plan.js';
import type { Batch } from '../runtime/batches.js';
import type { RowStoreDescriptor } from '../runtime/row-store.js';

/** What every lane is started with: it opens the model and derives the plan itself. */
export interface LaneSetup {
  readonly model: string;
  readonly assume: string | null;
  readonly threads: number;
  readonly providers: readonly string[];
}

/** Routing of one layer, shared between lanes and the orchestrating thread. */
export interface SharedRouting {
  /** Int32, [tokens × topK]. */
  readonly chosen: SharedArrayBuffer;
  /** Float32, [tokens × topK]. */
  readonly weights: SharedArrayBuffer;
}

export interface SharedSums {
  readonly tap: Tap;
  readonly gram: Float32Array;
  readonly absolute: Float32Array;
}

/** The forward jobs of a lane. `layer` is an index into the plan. */
export interface ForwardJobs extends Record<string, { readonly job: object; readonly result: unknown }> {
  /** Writes the embeddings of tokens [from, to) of `ids` into `hidden`. */
  embed: {
    job: {
      readonly ids: SharedArrayBuffer;
      readonly from: number;
      readonly to: number;
      readonly hidden: RowStoreDescriptor;
    };
    result: null;
  };
  /** Runs batches through a layer, all but its routed experts. */
  layer: {
    job: {
      readonly layer: number;
      readonly batches: readonly Batch[];
      readonly hidden: RowStoreDescriptor;
      readonly expertsInput: RowStoreDescriptor | null;
      readonly routing: SharedRouting | null;
      readonly taps: readonly Tap[];
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
  /** Logits [to − from, vocabulary] of rows of the last layer's output, and those rows after the final norm. */
  logits: {
    job: { readonly hidden: RowStoreDescriptor; readonly from: number; readonly to: number };
    result: { readonly logits: Float32Array; readonly normed: Float32Array };
  };
}

/** Tokens by expert: slots [offsets[e], offsets[e+1]) of `slots` are positions token·topK + rank, in token order. */
export interface ExpertAssignments {
  readonly offsets: Int32Array;
  /** Int32. */
  readonly slots: SharedArrayBuffer;
}
