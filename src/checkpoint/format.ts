import type { QuantizedLinear, Scheme } from '../awq/scheme.js';
import type { EncodedTensor, TensorEntry } from './encode.js';
import type { Half } from './half.js';
import type { JsonObject } from './json-file.js';

/** What is known of a quantized Linear before it is quantized: enough to lay out its tensors. */
export interface LinearSpec {
  /** Module path without `.weight`, as the output checkpoint spells it. */
  readonly module: string;
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly scheme: Scheme;
  readonly scaleDtype: Half;
}

/** Every Linear of the model, by what becomes of it. */
export interface LinearLayout {
  readonly quantized: readonly LinearSpec[];
  /** Module paths of the Linears (routers among them) that keep their weights. */
  readonly unquantized: readonly string[];
}

/** An on-disk format of quantized Linears. Biases are ordinary tensors and stay outside. */
export interface CheckpointFormat {
  readonly name: 'compressed-tensors' | 'autoawq';
  /** Why the format cannot hold this Linear (sentence without subject), or null when it can. */
  refusal(linear: LinearSpec): string | null;
  /** The tensors that replace `<module>.weight`. */
  entries(linear: LinearSpec): TensorEntry[];
  /** The same tensors with their bytes; throws RangeError for a code outside the scheme's range. */
  pack(module: string, linear: QuantizedLinear): EncodedTensor[];
  /** The `quantization_config` of config.json; throws InputError for a layout that the format cannot express. */
  quantizationConfig(layout: LinearLayout): JsonObject;
}

export function specOf(module: string, linear: QuantizedLinear): LinearSpec {
  const { outFeatures, inFeatures, scheme, scaleDtype } = linear;
  return { module, outFeatures, inFeatures, scheme, scaleDtype };
}

/** `W4A16, symmetric, group 128`, for messages. */
export function describeScheme({ bits, symmetric, groupSize }: Scheme): string {
  const grouping = groupSize === 'channel' ? 'by channel' : `group ${groupSize}`;
  return `W${bits}A16, ${symmetric ? 'symmetric' : 'asymmetric'}, ${grouping}`;
}

/** Common to all formats: whole groups, and arrays of the sizes that the scheme implies. */
export function assertConsistent(module: string, linear: QuantizedLinear): void {
  const { outFeatures, inFeatures, scheme, codes, scales, zeroPoints } = linear;
  const group = scheme.groupSize === 'channel' ? inFeatures : scheme.groupSize;
  const fail = (problem: string): never => {
    throw new RangeError(`pack '${module}' [${outFeatures}, ${inFeatures}] (${describeScheme(scheme)}): ${problem}`);
  };
  if (inFeatures % group !== 0) fail(`wanted input features divisible by ${group}`);
  const groups = outFeatures * (inFeatures / group);
  if (codes.length !== outFeatures * inFeatures) fail(`wanted ${outFeatures * inFeatures} codes, got ${codes.length}`);
  if (scales.length !== groups) fail(`wanted ${groups} scales, got ${scales.length}`);
  if ((zeroPoints === null) !== scheme.symmetric) fail('wanted zero points exactly when asymmetric');
  if (zeroPoints !== null && zeroPoints.length !== groups) {
    fail(`wanted ${groups} zero points, got ${zeroPoints.length}`);
  }
  if (scales.includes(0)) fail('wanted scales other than zero');
}
