import { groupCount, type QuantizedLinear, type Scheme } from '../awq/scheme.js';
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
import {
  isRoutedExpert,
  modulePatterns,
  ROUTED_EXPERTS,
  runtimeSpellings,
  targetSpellings,
  withOutputHead,
} from './module-patterns.js';
import { transposeInto } from './transpose.js';
import { codesPerWord, packRows } from './words.js';

/** The release whose layout is written; 4-bit packing is the same in all releases from 2024 on. */
const VERSION = '0.18.0';

/**
 * compressed-tensors `pack-quantized`: `weight_packed` I32 [N, ⌈K·bits/32⌉] along the inputs, `weight_scale` [N, K/G],
 * `weight_shape` I64 [2], and for asymmetric schemes `weight_zero_point` I32 [⌈N·bits/32⌉, K/G] along the outputs.
 *
 * Layout as in compressed_tensors/compressors/pack_quantized.
 */
export const compressedTensors: CheckpointFormat = {
  name: 'compressed-tensors',
  refusal,
  entries,
  pack,
  quantizationConfig,
};

function refusal({ inFeatures, scheme }: LinearSpec): string | null {
  if (scheme.groupSize !== 'channel' && inFeatures % scheme.groupSize !== 0) {
    return `wanted input features divisible by the group size ${scheme.groupSize}, got ${inFeatures}`;
  }
  return null;
}

function entries({ module, outFeatures, inFeatures, scheme, scaleDtype }: LinearSpec): TensorEntry[] {
  const groups = groupCount(scheme, inFeatures);
  const perWord = codesPerWord(scheme.bits);
  const zeroPoint: TensorEntry[] = scheme.symmetric
    ? []
    : [{ name: `${module}.weight_zero_point`, dtype: 'I32', shape: [Math.ceil(outFeatures / perWord), groups] }];
  return [
    { name: `${module}.weight_packed`, dtype: 'I32', shape: [outFeatures, Math.ceil(inFeatures / perWord)] },
    { name: `${module}.weight_scale`, dtype: scaleDtype, shape: [outFeatures, groups] },
    { name: `${module}.weight_shape`, dtype: 'I64', shape: [2] },
    ...zeroPoint,
  ];
}

function pack(module: string, linear: QuantizedLinear): EncodedTensor[] {
  assertConsistent(module, linear);
  const { outFeatures, inFeatures, scheme, codes, scales, zeroPoints } = linear;
  const bytes: Uint8Array[] = [
    bytesOf(packRows(codes, inFeatures, scheme.bits)),
    encodeTensor(`${module}.weight_scale`, linear.scaleDtype, [scales.length], scales).bytes,
    bytesOf(BigInt64Array.of(BigInt(outFeatures), BigInt(inFeatures))),
  ];
  if (zeroPoints !== null) {
    // Packed along the outputs: pack the transpose [groups, N], then turn the words back.
    const groups = groupCount(scheme, inFeatures);
    const turned = transposeInto(zeroPoints, outFeatures, groups, new Int8Array(zeroPoints.length));
    const words = packRows(turned, outFeatures, scheme.bits);
    bytes.push(bytesOf(transposeInto(words, groups, words.length / groups, new Int32Array(words.length))));
  }
  return entries(specOf(module, linear)).map((entry, i) => ({ ...entry, bytes: bytes[i]! }));
}

function quantizationConfig({ quantized, unquantized }: LinearLayout): JsonObject {
  const schemes = [...groupBy(quantized, ({ scheme }) => JSON.stringify(schemeArguments(scheme))).values()];
  if (schemes.length === 0) throw new InputError('write quantization_config: wanted at least one quantized Linear');
  // vLLM and SGLang look experts up by names that they make up, then by the class target, so that one belongs to the
  // experts' scheme; of a dense model, to the commonest. transformers takes the first group with `experts` in a pattern
  // for all of them. Where layers differ, only names tell their experts apart, and the first name that matches counts.
  const withExperts = schemes.filter((linears) => linears.some(({ module }) => isRoutedExpert(module)));
  assertBlocksAgree(quantized);
  const rank = (linears: readonly LinearSpec[]): number =>
    linears.length + (withExperts.some((scheme) => scheme === linears) ? quantized.length : 0);
  schemes.sort((a, b) => rank(b) - rank(a));
  const groups = schemes.map((linears, i) => {
    const names = new Set(linears.map(({ module }) => module));
    const others = [...quantized.map(({ module }) => module).filter((module) => !names.has(module)), ...unquantized];
    const named = (): string[] => modulePatterns([...names].flatMap(targetSpellings), others.flatMap(targetSpellings));
    const first = schemes.length > 1 && withExperts.length === 1 ? ['Linear', ROUTED_EXPERTS] : ['Linear'];
    return { targets: i > 0 ? named() : first, weights: schemeArguments(linears[0]!.scheme) };
  });
  const configGroups = groups.map(({ targets, weights }, i) => [
    `group_${i}`,
    { targets, format: 'pack-quantized', input_activations: null, output_activations: null, weights },
  ]);
  return {
    quant_method: 'compressed-tensors',
    format: 'pack-quantized',
    quantization_status: 'compressed',
    config_groups: Object.fromEntries(configGroups),
    ignore: modulePatterns(
      withOutputHead(quantized, unquantized).flatMap(runtimeSpellings),
      quantized.flatMap(({ module }) => runtimeSpellings(module)),
    ),
    kv_cache_scheme: null,
    global_compression_ratio: null,
    sparsity_config: {},
    transform_config: {},
    version: VERSION,
  };
}

/** Runtimes hold all experts of a layer in one tensor, and look up one scheme for it. */
function assertBlocksAgree(quantized: readonly LinearSpec[]): void {
  const firsts = new Map<string, LinearSpec>();
  for (const linear of quantized) {
    const block = /^(.*\.experts)\.\d+\./.exec(linear.module)?.[1];
    if (block === undefined) continue;
    const first = firsts.get(block);
    if (first === undefined) firsts.set(block, linear);
    else if (describeScheme(first.scheme) !== describeScheme(linear.scheme)) {
      const examples = [first, linear].map(({ module, scheme }) => `'${module}' has ${describeScheme(scheme)}`);
      throw new InputError(
        `write quantization_config: wanted one scheme for all routed experts of a layer, as runtimes look up only one: ${examples.join(', ')}`,
      );
    }
  }
}

function schemeArguments({ bits, symmetric, groupSize }: Scheme): JsonObject {
  return {
    num_bits: bits,
    type: 'int',
    symmetric,
    strategy: groupSize === 'channel' ? 'channel' : 'group',
    group_size: groupSize === 'channel' ? null : groupSize,
    dynamic: false,
    actorder: null,
    block_structure: null,
    observer: 'minmax',
    observer_kwargs: {},
  };
}

function groupBy<T>(items: readonly T[], key: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group === undefined) groups.set(key(item), [item]);
    else group.push(item);
  }
  return groups;
}

function bytesOf(array: Int32Array | BigInt64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}
