import { InputError } from '../errors.js';
import { descendCodes } from './descent.js';
import { feedErrorsForward } from './error-feedback.js';
import { factorGram, factorSize, type GramFactor } from './gram-factor.js';
import { fitClippedRange, fitRange } from './group-parameters.js';
import { withKernel } from './kernel.js';
import { groupWidth, laneCount, storeCodes } from './layout.js';
import { signalEnergy } from './loss.js';
import { groupCount, type QuantizedLinear, type Scheme } from './scheme.js';
import { levelsOf, type RoundingSettings } from './settings.js';
import {
  createWorkingLinear,
  lossOf,
  measureErrors,
  roundAll,
  WORKING_VIEWS,
  workingValues,
  type WorkingLinear,
} from './working-linear.js';

/** Output rows rounded at a time: bounds the working memory to about 4 × in × 512 values. */
const SLICE_ROWS = 512;

/** A Gram with what every Linear on the same inputs can share. */
export interface PreparedGram {
  readonly inFeatures: number;
  /** Mean xxᵀ of the smoothed inputs, [in, in]. */
  readonly gram: Float32Array;
  /** Null when the settings need none, or when the Gram is zero. */
  readonly factor: GramFactor | null;
}

export interface WeightToQuantize {
  /** [out, in], already smoothed. */
  readonly weight: Float32Array;
  readonly outFeatures: number;
  readonly inFeatures: number;
  /** From `prepareGram`; null for a Linear without any statistics, which then minimises the plain error of its weights. */
  readonly prepared: PreparedGram | null;
  readonly scheme: Scheme;
  readonly settings: RoundingSettings;
  readonly scaleDtype: 'BF16' | 'F16';
}

export interface QuantizedWeight {
  readonly quantized: QuantizedLinear;
  /** tr(ΔGΔᵀ): mean squared output error on the calibration inputs, summed over outputs. */
  readonly loss: number;
  /** tr(WGWᵀ): mean output energy; estimated for more than 64 outputs, see `signalEnergy`. */
  readonly signalEnergy: number;
  /** √(loss / signalEnergy); 0 where there is no signal. */
  readonly relativeError: number;
}

/**
 * Factors a Gram once for all the Linears that read the same smoothed inputs (gate and up of one expert, q, k and v).
 *
 * @param gram mean xxᵀ [in, in]; may be singular
 * @param allocate makes room for the factor, in place of a fresh array
 * @throws InputError when it holds a value that is not finite
 */
export async function prepareGram(
  gram: Float32Array,
  inFeatures: number,
  settings: RoundingSettings,
  allocate?: (length: number) => Float32Array,
): Promise<PreparedGram> {
  if (gram.length !== inFeatures * inFeatures)
    throw new RangeError(`Gram holds ${gram.length} values, not ${inFeatures}²`);
  if (!allFinite(gram)) throw new InputError('Cannot quantize with statistics that are not finite (NaN or infinity)');
  if (settings.rounding !== 'gptq') return { inFeatures, gram, factor: null };
  const factor = await factorGram(gram, inFeatures, settings, allocate?.(factorSize(inFeatures)));
  return { inFeatures, gram, factor };
}

/**
 * Quantizes one Linear: group parameters (clipped by the Gram's blocks), rounding (nearest, or with error feedback), then
 * sweeps that refit scales and move codes downhill on tr(ΔGΔᵀ). Rows do not interact, so large weights go slice by slice.
 *
 * @throws InputError when the weight is not finite or the groups do not divide its inputs
 */
export async function quantizeWeight(job: WeightToQuantize): Promise<QuantizedWeight> {
  const { weight, outFeatures, inFeatures, prepared, scheme, scaleDtype } = job;
  if (weight.length !== outFeatures * inFeatures) {
    throw new RangeError(`Weight holds ${weight.length} values, not ${outFeatures} × ${inFeatures}`);
  }
  if (prepared !== null && prepared.inFeatures !== inFeatures) {
    throw new RangeError(`Gram of ${prepared.inFeatures} channels does not fit a weight with ${inFeatures}`);
  }
  const groups = groupCount(scheme, inFeatures);
  const quantized: QuantizedLinear = {
    outFeatures,
    inFeatures,
    scheme,
    codes: new Int8Array(outFeatures * inFeatures),
    scales: new Float32Array(outFeatures * groups),
    zeroPoints: scheme.symmetric ? null : new Int8Array(outFeatures * groups),
    scaleDtype,
  };
  let loss = 0;
  for (let from = 0; from < outFeatures; from += SLICE_ROWS) {
    loss += await quantizeRows(job, { from, count: Math.min(SLICE_ROWS, outFeatures - from) }, quantized);
  }
  const energy =
    prepared === null ? sumOfSquares(weight) : await signalEnergy(weight, prepared.gram, outFeatures, inFeatures);
  return {
    quantized,
    loss,
    signalEnergy: energy,
    relativeError: energy > 0 ? Math.sqrt(Math.max(0, loss) / energy) : 0,
  };
}

interface Rows {
  readonly from: number;
  readonly count: number;
}

function quantizeRows(job: WeightToQuantize, rows: Rows, quantized: QuantizedLinear): Promise<number> {
  const { weight, inFeatures, prepared, scheme, settings, scaleDtype } = job;
  const width = groupWidth(scheme, inFeatures);
  const lanes = laneCount(rows.count);
  return withKernel(workingValues(inFeatures, lanes, width), WORKING_VIEWS, async (kernel) => {
    const levels = levelsOf(scheme, settings.signedScales);
    const shape = { inFeatures, lanes, width, levels, scaleDtype };
    const linear = createWorkingLinear(kernel, weight, rows, shape);
    const loss = await roundLinear(linear, prepared, settings);
    storeCodes(linear.codes, inFeatures, lanes, quantized.codes, rows);
    storeParameters(linear, quantized, rows);
    return loss;
  });
}

/** Runs the passes that the settings ask for; returns tr(ΔGΔᵀ) over the slice. */
async function roundLinear(
  linear: WorkingLinear,
  prepared: PreparedGram | null,
  settings: RoundingSettings,
): Promise<number> {
  if (settings.clip) await fitClippedRange(linear, prepared?.gram ?? null);
  else fitRange(linear);
  if (prepared === null) {
    roundAll(linear);
    return linear.kernel.dot(linear.error.byteOffset, linear.error.byteOffset, linear.error.length);
  }
  let loss: number;
  if (prepared.factor === null) {
    roundAll(linear);
    loss = await lossOf(linear, prepared.gram);
  } else {
    const damped = await feedErrorsForward(linear, prepared.factor);
    measureErrors(linear);
    const { error, kernel } = linear;
    loss = damped - prepared.factor.added * kernel.dot(error.byteOffset, error.byteOffset, error.length);
  }
  return loss - (await descendCodes(linear, prepared.gram, settings));
}

function storeParameters(
  { scales, zeros, groups, lanes }: WorkingLinear,
  quantized: QuantizedLinear,
  rows: Rows,
): void {
  for (let row = 0; row < rows.count; row++) {
    for (let group = 0; group < groups; group++) {
      const into = (rows.from + row) * groups + group;
      quantized.scales[into] = scales[group * lanes + row]!;
      if (quantized.zeroPoints !== null) quantized.zeroPoints[into] = zeros[group * lanes + row]!;
    }
  }
}

/** x − x is 0 for a finite x and NaN otherwise; four sums, because one would wait for itself. */
function allFinite(values: Float32Array): boolean {
  let [a, b, c, d] = [0, 0, 0, 0];
  const whole = values.length - (values.length % 4);
  for (let i = 0; i < whole; i += 4) {
    a += values[i]! - values[i]!;
    b += values[i + 1]! - values[i + 1]!;
    c += values[i + 2]! - values[i + 2]!;
    d += values[i + 3]! - values[i + 3]!;
  }
  for (let i = whole; i < values.length; i++) a += values[i]! - values[i]!;
  return a + b + c + d === 0;
}

function sumOfSquares(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value * value;
  return sum;
}
