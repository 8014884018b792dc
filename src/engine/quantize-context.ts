import type { Targets } from '../awq/targets.js';
import type { EncodedTensor } from '../checkpoint/encode.js';
import type { Checkpoint } from '../checkpoint/open.js';
import type { ModelPlan } from '../model/plan.js';
import type { Lanes } from '../runtime/workers.js';
import type { LanguageSample } from './language-sample.js';
import type { PassState } from './pass-state.js';
import type { CalibrationJobs } from './quantize-jobs.js';
import type { QuantizeSettings } from './quantize-settings.js';

/** What the quantization of a layer needs to know, all of it fixed for the run. */
export interface QuantizeContext {
  readonly lanes: Pick<Lanes<CalibrationJobs>, 'call' | 'count'>;
  readonly checkpoint: Checkpoint;
  readonly plan: ModelPlan;
  readonly settings: QuantizeSettings;
  readonly targets: Targets;
  readonly state: PassState;
  /** Tokens by which errors are told per language. */
  readonly sample: LanguageSample;
  /** Writes finished tensors: a layer of DeepSeek-V3 has 5 GB of them, which nobody holds until the last is there. */
  readonly put: (tensors: readonly EncodedTensor[]) => Promise<void>;
}
