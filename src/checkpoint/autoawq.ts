import { groupCount, type QuantizedLinear } from '../awq/scheme.js';
import { InputError } from '../errors.js';
import { encodeTensor, type EncodedTensor, type TensorEntry } from './encode.js';
import {
  assertConsistent,
  describeScheme,
  specOf,
  type CheckpointFormat,
  type LinearLayout,
  type LinearSpec,
} from './format.js';
import type { JsonObject } from './json-file.js';
import { mergedSpelling, withOutputHead } from './module-patterns.js';
import { transposeInto } from './transpose.js';
import { packRows } from './words.js';

/** Which column of an octet goes to nibble i; the inverse puts column j at shift [0, 16, 4, 20, 8, 24, 12, 28][j]. */
export const AWQ_ORDER: readonly number[] = [0, 2, 4, 6, 1, 3, 5, 7];

/** Columns of a word. */
const OCTET = 8;

/** The only dtype of the format's scales. */
const SCALE_DTYPE = 'F16';
const LEAST_F16 = 2 ** -24;

/**
 * AutoAWQ `gemm`: transposed, inputs first. `qweight` I32 [K, N/8] and `qzeros` I32 [K/G, N/8] packed along the
 * outputs in AWQ_ORDER, `scales` F16 [K/G, N]. The format always has zero points: a symmetric Linear gets the middle code
 * (8) everywhere, which leaves its codes unchanged.
 *
 * Layout as in AutoAWQ's WQLinear_GEMM.
 */
export const autoawq: CheckpointFormat = { name: 'autoawq', refusal, entries, pack, quantizationConfig };

function refusal({ outFeatures, inFeatures, scheme }: LinearSpec): string | null {
  if (scheme.bits !== 4) return `wanted 4 bits, got ${scheme.bits}`;
  if (scheme.groupSize !== 'channel' && inFeatures % scheme.groupSize !== 0) {
    return `wanted input features divisible by the group size ${scheme.groupSize}, got ${inFeatures}`;
  }
  if (outFeatures % OCTET !== 0) return `wanted output features divisible by ${OCTET}, got ${outFeatures}`;
  return null;
}

function entries({ module, outFeatures, inFeatures, scheme }: LinearSpec): TensorEntry[] {
  const groups = groupCount(scheme, inFeatures);
  return [
    { name: `${module}.qweight`, dtype: 'I32', shape: [inFeatures, outFeatures / OCTET] },
    { name: `${module}.qzeros`, dtype: 'I32', shape: [groups, outFeatures / OCTET] },
    { name: `${module}.scales`, dtype: SCALE_DTYPE, shape: [groups, outFeatures] },
  ];
}

function pack(module: string, linear: QuantizedLinear): EncodedTensor[] {
  assertConsistent(module, linear);
  const spec = specOf(module, linear);
  const problem = refusal(spec);
  if (problem !== null) throw new RangeError(`pack '${module}' as autoawq: ${problem}`);
  const { outFeatures, inFeatures, scales } = linear;
  const groups = groupCount(linear.scheme, inFeatures);
  // In the signed domain the middle code is 0.
  const zeroPoints = linear.zeroPoints ?? new Int8Array(scales.length);
  const packTransposed = (codes: Int8Array, columns: number): Uint8Array => {
    const words = packRows(
      transposeInto(codes, outFeatures, columns, new Int8Array(codes.length)),
      outFeatures,
      4,
      AWQ_ORDER,
    );
    return new Uint8Array(words.buffer);
  };
  const turnedScales = transposeInto(scales, outFeatures, groups, new Float32Array(scales.length)).map(storable);
  const bytes = [
    packTransposed(linear.codes, inFeatures),
    packTransposed(zeroPoints, groups),
    encodeTensor(`${module}.scales`, SCALE_DTYPE, [scales.length], turnedScales).bytes,
  ];
  return entries(spec).map((entry, i) => ({ ...entry, bytes: bytes[i]! }));
}

/** Scales of a bf16 model have its precision, but also its range: what f16 would make zero gets its least number. */
function storable(scale: number): number {
  return Math.abs(scale) < LEAST_F16 ? Math.sign(scale) * LEAST_F16 : scale;
}

function quantizationConfig({ quantized, unquantized }: LinearLayout): JsonObject {
  const [first, ...rest] = quantized;
  if (first === undefined) throw new InputError('write quantization_config: wanted at least one quantized Linear');
  const other = rest.find(({ scheme }) => scheme.groupSize !== first.scheme.groupSize);
  if (other !== undefined) {
    throw new InputError(
      `write quantization_config: autoawq holds one group size for the whole model: '${first.module}' has ` +
        `${describeScheme(first.scheme)}, '${other.module}' ${describeScheme(other.scheme)}`,
    );
  }
  return {
    quant_method: 'awq',
    version: 'gemm',
    bits: 4,
    group_size: first.scheme.groupSize === 'channel' ? -1 : first.scheme.groupSize,
    zero_point: true,
    modules_to_not_convert: excludedSubstrings(quantized, unquantized),
  };
}

/**
 * vLLM and SGLang skip a module when an entry is a *substring* of its path, merged Linears under their merged name:
 * `mlp.gate` also hits `mlp.gate_up_proj`. Takes the shortest tail of each path that hits no quantized module.
 */
function excludedSubstrings(quantized: readonly LinearSpec[], unquantized: readonly string[]): string[] {
  const paths = new Set(quantized.flatMap(({ module }) => [module, mergedSpelling(module) ?? module]));
  const anyNumber = new Set([...paths].map((path) => path.replace(/\d+/g, '#')));
  const hits = (text: string): boolean =>
    [...(/\d/.test(text) ? paths : anyNumber)].some((path) => path.includes(text));
  const excluded = new Set<string>();
  for (const module of withOutputHead(quantized, unquantized)) {
    const parts = module.split('.');
    const tails = parts.map((_, i) => parts.slice(i).join('.')).toReversed();
    // A lone last component is too likely to hit something in another runtime's spelling.
    const entry = tails.find((tail, i) => (i > 0 || parts.length === 1) && !/^\d/.test(tail) && !hits(tail));
    if (entry === undefined) {
      throw new InputError(
        `write quantization_config: autoawq cannot leave '${module}' unquantized: a quantized module's path contains it`,
      );
    }
    excluded.add(entry);
  }
  return [...excluded].sort();
}
