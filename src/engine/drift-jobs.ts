import type { ScaleCandidate } from '../awq/scale-candidates.js';
import type { EncodedTensor } from '../checkpoint/encode.js';
import type { Columns } from '../graph/moments.js';
import type { RowStoreDescriptor } from '../runtime/row-store.js';
import type { ExpertAssignments, SharedRouting } from './jobs.js';
import type { LanguageEnergy, LanguageSample } from './language-sample.js';
import type { LinearResult } from './quantize-jobs.js';

/** The follower's side of a layer: its experts' inputs x̂ and its own router's choices. */
export interface FollowerInput {
  readonly expertsInput: RowStoreDescriptor;
  readonly routing: SharedRouting;
  readonly assignments: ExpertAssignments;
}

/**
 * Jobs of a layer with experts that is quantized for the inputs it will really get; see `src/awq/drift.ts`. x and h are
 * the unquantized model's, x̂ and ĥ the follower's, which runs through the layers quantized so far.
 */
export interface DriftJobs {
  /**
   * Second moments of one stream's rows, or of two streams', over tokens [from, to), for some channels of the first
   * factor; see `momentsGraph`.
   */
  moments: {
    job: {
      readonly from: number;
      readonly to: number;
      /** Only tokens whose number this divides are summed over. */
      readonly stride: number;
      readonly features: Columns;
      /** x, where its moments with x̂ are wanted, and x̂; or what becomes them once a layer's input norm has passed over it. */
      readonly own: RowStoreDescriptor | null;
      readonly followed: RowStoreDescriptor;
      readonly normedBy: number | null;
      /** h and ĥ, where their difference's moments with x̂ are wanted, and in which of their channels. */
      readonly streams: {
        readonly own: RowStoreDescriptor;
        readonly followed: RowStoreDescriptor;
        readonly channels: Columns;
      } | null;
      /** Tokens whose x̂ is returned, rising. */
      readonly sample: Int32Array;
    };
    /** `gram`, `absolute` and `cross` of the job's features, `owed` of its streams' channels: rows of the whole. */
    result: {
      readonly gram: Float32Array;
      readonly absolute: Float32Array;
      readonly cross: Float32Array | null;
      readonly owed: Float32Array | null;
      readonly sample: Float32Array;
    };
  };
  /** The regression of x on x̂, less the identity. */
  drift: {
    job: { readonly gram: Float32Array; readonly cross: Float32Array; readonly tokens: number };
    result: Float32Array;
  };
  /** Losses of the candidates for gate and up on x̂. */
  searchGates: {
    job: FollowerInput & {
      readonly layer: number;
      readonly experts: readonly number[];
      readonly layerGram: Float32Array;
      readonly candidates: readonly ScaleCandidate[];
    };
    result: Float64Array;
  };
  /**
   * Quantizes experts on x̂, gate and up towards what they did on x, and adds what they put out once quantized to the
   * accumulator, where there is one.
   */
  quantizeFollowing: {
    job: FollowerInput & {
      readonly layer: number;
      readonly experts: readonly number[];
      readonly layerGram: Float32Array;
      readonly drift: Float32Array;
      /** What gate and up are smoothed by. */
      readonly scales: Float32Array | null;
      readonly accumulator: RowStoreDescriptor | null;
      /** Tokens that every expert sees for its layer-wide statistics. */
      readonly forced: Int32Array;
      readonly sample: LanguageSample;
    };
    part: readonly EncodedTensor[];
    result: {
      readonly experts: readonly {
        readonly expert: number;
        readonly tokens: number;
        readonly ownShare: number;
        /** Gate, up and down. */
        readonly linears: readonly LinearResult[];
      }[];
      readonly energy: LanguageEnergy;
    };
  };
}
