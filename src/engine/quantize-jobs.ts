import type { ScaleCandidate } from '../awq/scale-candidates.js';
import type { ProbeJob, ProbeMeasurement } from './probe-lane.js';
import type { EncodedTensor } from '../checkpoint/encode.js';
import type { RowStoreDescriptor } from '../runtime/row-store.js';
import type { HandOver } from '../runtime/workers.js';
import type { DriftJobs } from './drift-jobs.js';
import type { LanguageEnergy, LanguageSample } from './language-sample.js';
import type { ExpertAssignments, ForwardJobs, SharedRouting, WeightOverride } from './jobs.js';

/** Hands the tensors of a quantized Linear over to be written, so that no lane holds more than one at a time. */
export type Put = HandOver<readonly EncodedTensor[]>;

/** What became of one Linear, besides its tensors. */
export interface LinearResult {
  readonly module: string;
  /** √(tr ΔGΔᵀ / tr WGWᵀ) under the statistics it was quantized with. */
  readonly relativeError: number;
  readonly loss: number;
  /** What a runtime computes with, before smoothing; only where the follower needs it. */
  readonly effective: WeightOverride | null;
}

/** What a Linear's weight is quantized towards. */
export type LinearTarget =
  | { readonly kind: 'stored' }
  /** W·M with M − I = drift; see `inputDrift`. */
  | { readonly kind: 'drift'; readonly drift: Float32Array }
  | OwedTarget;

/**
 * W, corrected for what its output lacks: mean (x − x̂)x̂ᵀ of its own inputs, and mean rx̂ᵀ for what else its output should
 * bring; see `repayResidual`.
 */
export interface OwedTarget {
  readonly kind: 'owed';
  readonly cross: Float32Array;
  readonly owed: Float32Array | null;
  readonly tokens: number;
}

/** Sampled rows of an input, and the language of each. */
export interface SampledInput {
  readonly rows: Float32Array;
  readonly languageOf: Uint16Array;
}

/** What became of one expert. */
export interface ExpertResult {
  readonly expert: number;
  readonly tokens: number;
  /** Share of its own tokens in its statistics: n / (n + κ). */
  readonly ownShare: number;
  readonly downRatio: number | null;
  readonly downLossBefore: number;
  readonly downLoss: number;
  /** What up's rows are divided by; null where the identity was best. */
  readonly upScales: Float32Array | null;
  readonly linears: readonly LinearResult[];
}

export interface CalibrationJobs extends ForwardJobs, DriftJobs {
  probe: { job: ProbeJob; result: ProbeMeasurement };
  /** Σ over output rows of each module's relative weight magnitude (AWQ's w), [in], and how many rows. */
  magnitude: {
    job: { readonly layer: number; readonly modules: readonly string[] };
    result: { readonly sum: Float64Array; readonly rows: number };
  };
  /** Losses of the candidates, summed over the modules. `gram` is the mean xxᵀ of their input. */
  searchLinears: {
    job: {
      readonly layer: number;
      readonly modules: readonly string[];
      readonly ofModules: number;
      readonly gram: Float32Array;
      readonly candidates: readonly ScaleCandidate[];
    };
    result: Float64Array;
  };
  /** Quantizes Linears that read one input. `outputScales` divides the rows of a module that a later edge smoothed. */
  quantizeLinears: {
    job: {
      readonly layer: number;
      readonly modules: readonly string[];
      readonly gram: Float32Array;
      readonly inputScales: Float32Array | null;
      readonly outputScales: Readonly<Record<string, Float32Array>>;
      readonly sampled: SampledInput;
      readonly languages: number;
      /** Return each Linear's effective weight. */
      readonly effective: boolean;
      readonly towards: LinearTarget;
    };
    part: readonly EncodedTensor[];
    result: { readonly linears: readonly LinearResult[]; readonly energy: LanguageEnergy };
  };
  /**
   * Runs experts on their tokens, adds their outputs to the accumulator, where there is one, quantizes down_proj, and sums
   * the losses of the candidates for gate and up. The lane keeps what `quantizeExperts` needs.
   */
  calibrateExperts: {
    job: {
      readonly layer: number;
      readonly experts: readonly number[];
      readonly expertsInput: RowStoreDescriptor;
      readonly accumulator: RowStoreDescriptor | null;
      readonly routing: SharedRouting;
      readonly assignments: ExpertAssignments;
      /** Evenly spaced tokens that every expert sees for its layer-wide statistics. */
      readonly sample: Int32Array;
      /** Mean xxᵀ over all tokens of the layer. */
      readonly layerGram: Float32Array;
      readonly candidates: readonly ScaleCandidate[];
    };
    part: readonly EncodedTensor[];
    result: { readonly losses: Float64Array; readonly experts: readonly ExpertResult[] };
  };
  /** Quantizes gate and up of the experts that this lane calibrated. */
  quantizeExperts: {
    job: {
      readonly layer: number;
      readonly experts: readonly number[];
      readonly expertsInput: RowStoreDescriptor;
      readonly routing: SharedRouting;
      readonly assignments: ExpertAssignments;
      readonly layerGram: Float32Array;
      readonly scales: Float32Array | null;
      readonly sample: LanguageSample;
    };
    part: readonly EncodedTensor[];
    result: {
      readonly experts: readonly { readonly expert: number; readonly linears: readonly LinearResult[] }[];
      readonly energy: LanguageEnergy;
    };
  };
}
