import type { RoundingSettings, SearchSettings } from '../awq/settings.js';
import type { TargetSettings } from '../awq/targets.js';
import type { Mapping } from '../recipe/mappings.js';

/** Everything that decides what a quantized model looks like, besides the model and the mix. */
export interface QuantizeSettings extends TargetSettings {
  readonly format: 'compressed-tensors' | 'autoawq';
  /** Tokens' worth of the layer's statistics that each expert starts with: 0 routed only, Infinity the layer alone. */
  readonly shrinkage: number;
  readonly search: SearchSettings;
  /** Smoothing edges to use, by name; null for all that the architecture declares. */
  readonly mappings: readonly Mapping[] | null;
  /** Calibrate each layer for the inputs it will get from the quantized layers before it; see `src/awq/drift.ts`. */
  readonly followDrift: boolean;
  readonly rounding: RoundingSettings;
  readonly scaleDtype: 'BF16' | 'F16';
}
