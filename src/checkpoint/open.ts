import { basename, dirname } from 'node:path';
import { InputError } from '../errors.js';
import { parseConfig } from './config.js';
import { fp8Weights } from './fp8.js';
import { resolveInside } from './inside.js';
import { describeJson, isJsonObject, readJsonText, type JsonObject } from './json-file.js';
import { plainTensor, type Decoder, type LogicalTensor } from './logical.js';
import { mxfp4Weights } from './mxfp4.js';
import { autoawqWeights } from './autoawq-weights.js';
import { compressedTensorsWeights } from './compressed-tensors-weights.js';
import { openRawTensors, readShard, type RawTensors } from './raw.js';
import { readShards } from './shards.js';
import { sliceSpan } from './slice.js';
import type { TensorSource } from './tensor-source.js';

/** A model folder: its config.json and its tensors. */
export interface Checkpoint extends TensorSource {
  readonly config: JsonObject;
  /** The text of config.json, for rewriting it without touching its numbers. */
  readonly configText: string;
  /** `quant_method` of the config, or null when the folder is not quantized. */
  readonly quantization: QuantizationMethod | null;
  /** The tensors as a model sees them, by logical name: encoded weights once, without their scales. */
  readonly tensors: ReadonlyMap<string, LogicalTensor>;
}

export type QuantizationMethod = 'fp8' | 'mxfp4' | 'compressed-tensors' | 'awq';

const DECODERS: Readonly<Record<QuantizationMethod, readonly Decoder[]>> = {
  fp8: [fp8Weights],
  mxfp4: [mxfp4Weights],
  'compressed-tensors': [compressedTensorsWeights, fp8Weights],
  awq: [autoawqWeights],
};

/** Scales of activations and of the key/value cache: a quantized runtime's business, not part of the weights. */
const RUNTIME_SCALE = /\.(input|output|q|k|v)_scale$/;

/**
 * Opens a model folder for reading. Headers are parsed and checked now, data is read by slice on demand.
 *
 * @throws InputError for a missing or malformed config, index or shard, naming the file
 */
export function openCheckpoint(directory: string): Checkpoint {
  const { shards, infos } = readShards(directory);
  const configPath = resolveInside(directory, 'config.json');
  const configText = readJsonText(configPath);
  const config = parseConfig(configText, configPath);
  const settings = quantizationConfig(config, directory);
  const quantization = settings === null ? null : quantizationMethod(settings, directory);
  const raw = openRawTensors(shards, infos);
  const decoders = quantization === null ? [] : DECODERS[quantization];
  const tensors = logicalTensors(raw, decoders, settings ?? {});
  return { config, configText, quantization, ...tensorSource(directory, raw, tensors) };
}

/** One safetensors file on its own, whatever its name; nothing in it is decoded but number formats. */
export function openSafetensors(path: string): TensorSource {
  const shard = readShard(dirname(path), basename(path));
  const raw = openRawTensors([shard], new Map(shard.infos.map((info) => [info.name, info])));
  return tensorSource(dirname(path), raw, logicalTensors(raw, [], {}));
}

function tensorSource(directory: string, raw: RawTensors, tensors: ReadonlyMap<string, LogicalTensor>) {
  const find = (name: string): LogicalTensor => {
    const tensor = tensors.get(name);
    if (tensor !== undefined) return tensor;
    const info = raw.infos.get(name);
    if (info === undefined) throw new InputError(`read tensor '${name}': '${directory}' has no such tensor`);
    return plainTensor(raw, info);
  };
  const source: TensorSource & { readonly tensors: ReadonlyMap<string, LogicalTensor> } = {
    directory,
    infos: raw.infos,
    tensors,
    has: (name) => tensors.has(name) || raw.infos.has(name),
    shape: (name) => find(name).shape,
    read(name, slice) {
      const tensor = find(name);
      const [begin, end] = sliceSpan(name, tensor.shape, slice);
      const values = new Float32Array(end - begin);
      tensor.decode(begin, end, values, 0);
      return values;
    },
    readInto(name, target, targetOffset = 0, slice) {
      const tensor = find(name);
      const [begin, end] = sliceSpan(name, tensor.shape, slice);
      if (targetOffset + end - begin > target.length) {
        throw new RangeError(
          `read tensor '${name}': wanted room for ${end - begin} elements at ${targetOffset}, got ${target.length - targetOffset}`,
        );
      }
      tensor.decode(begin, end, target, targetOffset);
      return end - begin;
    },
    readBytes(name, byteBegin = 0, byteEnd) {
      const info = raw.infos.get(name);
      if (info === undefined) throw new InputError(`read tensor '${name}': '${directory}' stores no such tensor`);
      const size = info.end - info.begin;
      const last = byteEnd ?? size;
      if (byteBegin < 0 || last < byteBegin || last > size) {
        throw new RangeError(`read tensor '${name}': wanted bytes within [0, ${size}), got [${byteBegin}, ${last})`);
      }
      const bytes = new Uint8Array(last - byteBegin);
      raw.readInto(info, byteBegin, bytes);
      return bytes;
    },
    close: () => raw.close(),
  };
  return source;
}

function logicalTensors(
  raw: RawTensors,
  decoders: readonly Decoder[],
  settings: JsonObject,
): ReadonlyMap<string, LogicalTensor> {
  const decoded = new Map<string, LogicalTensor>();
  const parts = new Set<string>();
  for (const decoder of decoders) {
    for (const tensor of decoder(raw, settings)) {
      decoded.set(tensor.name, tensor);
      for (const part of tensor.parts) parts.add(part);
    }
  }
  for (const info of raw.infos.values()) {
    const leftover = decoders.length > 0 && RUNTIME_SCALE.test(info.name);
    if (!parts.has(info.name) && !leftover) decoded.set(info.name, plainTensor(raw, info));
  }
  return decoded;
}

/** The quantization settings of a config: at the top level, or in a multimodal model's `text_config`. */
export function quantizationConfig(config: JsonObject, directory: string): JsonObject | null {
  const text = config['text_config'];
  const found = config['quantization_config'] ?? (isJsonObject(text) ? text['quantization_config'] : undefined) ?? null;
  if (found === null || isJsonObject(found)) return found;
  throw new InputError(
    `read config of '${directory}': wanted quantization_config as an object, got ${describeJson(found)}`,
  );
}

function quantizationMethod(settings: JsonObject, directory: string): QuantizationMethod {
  const method = settings['quant_method'];
  if (isQuantizationMethod(method)) return method;
  throw new InputError(
    `open model '${directory}': wanted a quantization method among ${Object.keys(DECODERS).join(', ')}, ` +
      `got ${JSON.stringify(method)}`,
  );
}

function isQuantizationMethod(value: unknown): value is QuantizationMethod {
  return typeof value === 'string' && Object.hasOwn(DECODERS, value);
}
