import type { QuantizedLinear, Scheme } from '../../src/awq/scheme.js';
import { compressedTensors } from '../../src/checkpoint/compressed-tensors.js';
import { quantizedConfig } from '../../src/checkpoint/config.js';
import { encodeTensor, type EncodedTensor, type TensorEntry } from '../../src/checkpoint/encode.js';
import type { CheckpointFormat, LinearSpec } from '../../src/checkpoint/format.js';
import { roundToHalf } from '../../src/checkpoint/half.js';
import { openCheckpoint, type Checkpoint } from '../../src/checkpoint/open.js';
import type { OutputPart } from '../../src/checkpoint/verify/tensors.js';
import { createCheckpointWriter, type CheckpointWriter, type WriterOptions } from '../../src/checkpoint/writer.js';

/** A model quantized by plain rounding: the least that exercises packing, writing and verification together. */
export interface Plan {
  readonly format: CheckpointFormat;
  readonly scheme: Scheme;
  readonly linears: readonly (LinearSpec & { readonly read: () => Float32Array })[];
  readonly linearized: ReadonlyMap<string, readonly OutputPart[]>;
  readonly copied: readonly string[];
  readonly decoded: readonly string[];
  readonly entries: readonly TensorEntry[];
  readonly unquantized: readonly string[];
}

const KEPT = /(embed_tokens|lm_head|\.gate|\.router(\.\w+)?|shared_expert_gate|weights_proj)\.weight$/;
const FUSED = /^(.*\.experts)\.(gate_up_proj|down_proj)$/;

export function planRoundToNearest(source: Checkpoint, scheme: Scheme, format = compressedTensors): Plan {
  const linears: Plan['linears'][number][] = [];
  const linearized = new Map<string, OutputPart[]>();
  const copied: string[] = [];
  const decoded: string[] = [];
  const entries: TensorEntry[] = [];
  const add = (module: string, outFeatures: number, inFeatures: number, read: () => Float32Array): void => {
    const linear = { module, outFeatures, inFeatures, scheme, scaleDtype: 'BF16' as const, read };
    linears.push(linear);
    entries.push(...format.entries(linear));
  };
  for (const tensor of source.tensors.values()) {
    const { name, shape } = tensor;
    const fused = FUSED.exec(name);
    const divisible = scheme.groupSize === 'channel' || shape.at(-1)! % scheme.groupSize === 0;
    if (fused !== null && shape.length === 3) {
      const parts = linearize(source, name, fused[1]!, fused[2]!);
      linearized.set(
        name,
        parts.map(({ module, rows, columns }) => ({ name: `${module}.weight`, shape: [rows, columns] })),
      );
      for (const { module, rows, columns, read } of parts) add(module, rows, columns, read);
    } else if (shape.length === 2 && name.endsWith('.weight') && !KEPT.test(name) && divisible) {
      add(name.slice(0, -'.weight'.length), shape[0]!, shape[1]!, () => source.read(name));
    } else {
      const info = tensor.encoding === 'plain' ? source.infos.get(name) : undefined;
      (info === undefined ? decoded : copied).push(name);
      entries.push({ name, dtype: info?.dtype ?? 'BF16', shape });
    }
  }
  const unquantized = [...copied, ...decoded].filter(
    (name) => name.endsWith('.weight') && source.shape(name).length === 2 && !name.includes('embed'),
  );
  return {
    format,
    scheme,
    linears,
    linearized,
    copied,
    decoded,
    entries,
    unquantized: unquantized.map((name) => name.slice(0, -'.weight'.length)),
  };
}

/** Llama 4's fused layout: [E, H, 2I] with gate first, and [E, I, H]. */
function linearize(source: Checkpoint, name: string, prefix: string, kind: string) {
  const [experts = 0, inputs = 0, width = 0] = source.shape(name);
  const projections = kind === 'down_proj' ? ['down_proj'] : ['gate_proj', 'up_proj'];
  const rows = width / projections.length;
  return Array.from({ length: experts }, (_, expert) =>
    projections.map((projection, i) => ({
      module: `${prefix}.${expert}.${projection}`,
      rows,
      columns: inputs,
      read: (): Float32Array => {
        const fused = source.read(name, { index: expert });
        return Float32Array.from({ length: rows * inputs }, (__, at) => {
          const [row, column] = [Math.floor(at / inputs), at % inputs];
          return fused[column * width + i * rows + row]!;
        });
      },
    })),
  ).flat();
}

export function roundToNearest(spec: LinearSpec, weight: Float32Array): QuantizedLinear {
  const { scheme, inFeatures, outFeatures, scaleDtype } = spec;
  const size = scheme.groupSize === 'channel' ? inFeatures : scheme.groupSize;
  const [low, high] = [-(2 ** (scheme.bits - 1)), 2 ** (scheme.bits - 1) - 1];
  const groups = weight.length / size;
  const scales = new Float32Array(groups);
  const zeroPoints = new Int8Array(groups);
  const codes = new Int8Array(weight.length);
  for (let group = 0; group < groups; group++) {
    const values = weight.subarray(group * size, (group + 1) * size);
    const least = Math.min(0, ...values);
    const most = Math.max(0, ...values);
    const spread = scheme.symmetric ? Math.max(most, -least) / (high + 0.5) : (most - least) / (high - low);
    scales[group] = spread === 0 ? 1 : spread;
  }
  roundToHalf(scales, scaleDtype);
  const clamp = (value: number): number => Math.max(low, Math.min(high, Math.round(value)));
  for (let group = 0; group < groups; group++) {
    const least = Math.min(0, ...weight.subarray(group * size, (group + 1) * size));
    zeroPoints[group] = scheme.symmetric ? 0 : clamp(low - least / scales[group]!);
    for (let i = group * size; i < (group + 1) * size; i++) {
      codes[i] = clamp(weight[i]! / scales[group]! + zeroPoints[group]!);
    }
  }
  return {
    outFeatures,
    inFeatures,
    scheme,
    codes,
    scales,
    scaleDtype,
    zeroPoints: scheme.symmetric ? null : zeroPoints,
  };
}

export interface WriteSettings extends Partial<Omit<WriterOptions, 'entries'>> {
  readonly scheme?: Scheme;
  readonly format?: CheckpointFormat;
  /** Called after each tensor. */
  readonly onTensor?: (writer: CheckpointWriter, name: string) => Promise<void> | void;
}

/** Quantizes a model folder by rounding; returns what `verifyCheckpoint` needs to know. */
export async function writeRoundToNearest(model: string, output: string, settings: WriteSettings = {}) {
  const { scheme = { bits: 4, symmetric: true, groupSize: 32 }, format, onTensor, ...options } = settings;
  const source = openCheckpoint(model);
  const plan = planRoundToNearest(source, scheme, format);
  const writer = await createCheckpointWriter(output, { entries: plan.entries, key: { model }, ...options });
  try {
    const write = async ({ name, bytes }: EncodedTensor): Promise<void> => {
      if (writer.written.has(name)) return;
      await writer.write(name, bytes);
      await onTensor?.(writer, name);
    };
    for (const name of plan.copied) {
      if (writer.written.has(name)) continue;
      await writer.copy(source, name);
      await onTensor?.(writer, name);
    }
    for (const name of plan.decoded) await write(encodeTensor(name, 'BF16', source.shape(name), source.read(name)));
    for (const linear of plan.linears) {
      for (const tensor of plan.format.pack(linear.module, roundToNearest(linear, linear.read()))) await write(tensor);
    }
    const quantization = plan.format.quantizationConfig({ quantized: plan.linears, unquantized: plan.unquantized });
    await writer.finish({ config: quantizedConfig(source.configText, quantization), sideFilesFrom: model });
  } finally {
    await writer.close();
    source.close();
  }
  return { linearized: plan.linearized, rewritten: new Set<string>() };
}
