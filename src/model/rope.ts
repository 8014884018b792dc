import { InputError } from '../errors.js';
import type { ModelConfig } from './config.js';
import type { RopePlan } from './plan.js';

interface RopeOptions {
  /** Size of the rotated part of a head, before `partial_rotary_factor`. */
  readonly headDim: number;
  readonly interleaved?: boolean;
  /** Settings to use instead of the config's own (gemma3's rope per layer type). */
  readonly parameters?: Readonly<Record<string, unknown>>;
  /** Share of a head that rotates where the config names none. */
  readonly defaultPartialFactor?: number;
}

/**
 * The rotary embedding of a config, in either dialect: `rope_parameters {rope_type, rope_theta, …}`, or `rope_theta` +
 * `rope_scaling {type | rope_type, …}`. Formulas: transformers `modeling_rope_utils.py`, whose papers are named at each.
 *
 * @throws InputError for a scaling that is not known
 */
export function ropePlan(
  config: ModelConfig,
  { headDim, interleaved = false, parameters, defaultPartialFactor = 1 }: RopeOptions,
): RopePlan {
  const settings = parameters ?? config.object('rope_parameters') ?? config.object('rope_scaling') ?? {};
  const read = (key: string): number | undefined => (typeof settings[key] === 'number' ? settings[key] : undefined);
  const theta = read('rope_theta') ?? config.number('rope_theta', 10_000);
  const partial = read('partial_rotary_factor') ?? config.number('partial_rotary_factor', defaultPartialFactor);
  const rotaryDim = Math.floor(headDim * partial);
  const stated = settings['rope_type'] ?? settings['type'] ?? 'default';
  const type = typeof stated === 'string' ? stated : JSON.stringify(stated);
  const base = Array.from({ length: rotaryDim / 2 }, (_, i) => 1 / theta ** ((2 * i) / rotaryDim));
  const plan = (
    inverseFrequencies: readonly number[],
    attentionFactor = 1,
    long: RopePlan['long'] = null,
  ): RopePlan => ({
    inverseFrequencies,
    long,
    attentionFactor,
    rotaryDim,
    interleaved,
  });
  // transformers lets the config's own value override that of the settings (phi3 states both).
  const original = (): number =>
    config.optionalNumber('original_max_position_embeddings') ??
    read('original_max_position_embeddings') ??
    config.number('max_position_embeddings');
  const wanted = (key: string): number => {
    const value = read(key);
    if (value === undefined)
      throw new InputError(`read config.json: wanted "${key}" among the settings of rope type '${type}', got none`);
    return value;
  };
  switch (type) {
    case 'default':
    case 'mrope':
      // Text-only input gives every section of mrope the same position, which is plain rope.
      return plan(base);
    case 'linear':
      return plan(base.map((frequency) => frequency / wanted('factor')));
    case 'llama3':
      return plan(llama3(base, wanted('factor'), wanted('low_freq_factor'), wanted('high_freq_factor'), original()));
    case 'yarn': {
      const factor = read('factor') ?? config.number('max_position_embeddings') / original();
      return plan(
        yarn(
          base,
          rotaryDim,
          theta,
          factor,
          original(),
          read('beta_fast') ?? 32,
          read('beta_slow') ?? 1,
          settings['truncate'] !== false,
        ),
        read('attention_factor') ?? yarnAttentionFactor(factor, read('mscale'), read('mscale_all_dim')),
      );
    }
    case 'dynamic':
      // Frequencies change only beyond max_position_embeddings, which calibration never reaches; hunyuan's `alpha`
      // variant rescales theta for every length.
      return plan(base.map((_, i) => 1 / dynamicTheta(theta, read('alpha'), rotaryDim) ** ((2 * i) / rotaryDim)));
    case 'longrope':
    case 'su':
      return longrope(config, settings, base, original(), plan);
    default:
      throw new InputError(`read config.json: rope type '${type}' is not supported`);
  }
}

/** Llama 3.1's frequency-dependent scaling. */
function llama3(base: readonly number[], factor: number, low: number, high: number, original: number): number[] {
  return base.map((frequency) => {
    const wavelength = (2 * Math.PI) / frequency;
    if (wavelength < original / high) return frequency;
    if (wavelength > original / low) return frequency / factor;
    const smooth = (original / wavelength - low) / (high - low);
    return ((1 - smooth) * frequency) / factor + smooth * frequency;
  });
}

/** YaRN (arXiv 2309.00071): interpolate slow dimensions, keep fast ones. */
function yarn(
  base: readonly number[],
  dim: number,
  theta: number,
  factor: number,
  original: number,
  fast: number,
  slow: number,
  truncate: boolean,
): number[] {
  const correction = (rotations: number): number =>
    (dim * Math.log(original / (rotations * 2 * Math.PI))) / (2 * Math.log(theta));
  let low = correction(fast);
  let high = correction(slow);
  if (truncate) [low, high] = [Math.floor(low), Math.ceil(high)];
  low = Math.max(low, 0);
  high = Math.min(high, dim - 1);
  if (low === high) high += 0.001;
  return base.map((frequency, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / (high - low)));
    return (frequency / factor) * ramp + frequency * (1 - ramp);
  });
}

/** transformers' `get_mscale`. */
export function yarnScale(factor: number, mscale: number): number {
  return factor <= 1 ? 1 : 0.1 * mscale * Math.log(factor) + 1;
}

function yarnAttentionFactor(factor: number, mscale: number | undefined, allDim: number | undefined): number {
  if (mscale && allDim) return yarnScale(factor, mscale) / yarnScale(factor, allDim);
  return yarnScale(factor, 1);
}

function dynamicTheta(theta: number, alpha: number | undefined, dim: number): number {
  return alpha === undefined ? theta : theta * alpha ** (dim / (dim - 2));
}

/** LongRoPE (arXiv 2402.13753): one divisor per dimension, another set beyond the original context. */
function longrope(
  config: ModelConfig,
  settings: Readonly<Record<string, unknown>>,
  base: readonly number[],
  original: number,
  plan: (frequencies: readonly number[], factor: number, long: RopePlan['long']) => RopePlan,
): RopePlan {
  const factors = (key: string): readonly number[] => {
    const value = settings[key];
    if (Array.isArray(value) && value.length === base.length && value.every((factor) => typeof factor === 'number'))
      return value;
    throw new InputError(
      `read config.json: wanted "${key}" of longrope as ${base.length} numbers, got ${JSON.stringify(value)}`,
    );
  };
  const stated = settings['factor'];
  const factor = typeof stated === 'number' ? stated : config.number('max_position_embeddings') / original;
  const given = settings['attention_factor'];
  const attentionFactor =
    typeof given === 'number' ? given : factor <= 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  const scaled = (key: string): number[] => base.map((frequency, i) => frequency / factors(key)[i]!);
  return plan(scaled('short_factor'), attentionFactor, {
    inverseFrequencies: scaled('long_factor'),
    attentionFactor,
    from: original,
  });
}
