import { InputError } from '../errors.js';
import type { TensorEntry } from './encode.js';
import type { CheckpointFormat, LinearLayout, LinearSpec } from './format.js';
import type { Half } from './half.js';
import { isJsonObject, type JsonObject } from './json-file.js';
import type { LogicalTensor } from './logical.js';
import type { Checkpoint } from './open.js';

/** A source tensor that leaves the checkpoint, and what comes instead of it. */
export interface Replacement {
  /** Logical name in the source: `….q_proj.weight`, or a fused `….experts.gate_up_proj`. */
  readonly source: string;
  /** The Linears that are quantized from it, one for a plain Linear, many for fused experts. */
  readonly linears: readonly LinearSpec[];
  /** Tensors that come instead of it in full precision: the biases of linearized experts, or experts left alone. */
  readonly tensors?: readonly TensorEntry[];
}

/** A tensor of the output, and where its bytes come from. */
export interface PlannedTensor extends TensorEntry {
  /**
   * `copied`: the source's bytes; `rescaled`: same name, dtype and shape, other values; `decoded`: a low-precision
   * source tensor that stays unquantized, widened; `split`: a full-precision part of a fused tensor; `packed`: a part
   * of a quantized Linear.
   */
  readonly origin: 'copied' | 'rescaled' | 'decoded' | 'split' | 'packed';
  /** Logical name in the source. */
  readonly source: string;
}

export interface PlanOptions {
  readonly format: CheckpointFormat;
  readonly replacements: readonly Replacement[];
  /** Tensors that smoothing changes: norms, routers, biases, unquantized Linears that share a norm. */
  readonly rescaled: ReadonlySet<string>;
  /** What low-precision tensors that stay unquantized are widened to: the model's own dtype. */
  readonly decodedDtype: Half;
}

/**
 * Lists every tensor of the output, in an order that keeps layers together: names sorted with numbers as numbers, so
 * that a run which works layer by layer fills shard after shard.
 *
 * @throws InputError for a replacement whose source is missing, replaced twice, or that the format cannot hold
 */
export function planCheckpoint(source: Checkpoint, options: PlanOptions): PlannedTensor[] {
  const { format, rescaled, decodedDtype } = options;
  const replacements = new Map<string, Replacement>();
  for (const replacement of options.replacements) {
    if (!source.tensors.has(replacement.source) || replacements.has(replacement.source)) {
      throw new InputError(
        `plan checkpoint: tensor '${replacement.source}' of '${source.directory}' is ` +
          (replacements.has(replacement.source) ? 'replaced twice' : 'to be replaced but missing'),
      );
    }
    replacements.set(replacement.source, replacement);
  }
  const planned = [...source.tensors.values()].flatMap((tensor): PlannedTensor[] => {
    const replacement = replacements.get(tensor.name);
    if (replacement !== undefined) return replacementTensors(format, replacement);
    const entry = unquantizedEntry(source, tensor, decodedDtype);
    const plainOrigin = rescaled.has(tensor.name) ? 'rescaled' : 'copied';
    return [{ ...entry, origin: tensor.encoding === 'plain' ? plainOrigin : 'decoded', source: tensor.name }];
  });
  return planned.sort((a, b) => compareNames(a.name, b.name));
}

/** Component by component; numbers by value, so that layer 10 follows layer 9. */
function compareNames(a: string, b: string): number {
  const [left, right] = [a.split('.'), b.split('.')];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const [x = '', y = ''] = [left[i], right[i]];
    if (x === y) continue;
    const difference = Number(x) - Number(y);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
    return x < y ? -1 : 1;
  }
  return left.length - right.length;
}

function replacementTensors(format: CheckpointFormat, { source, linears, tensors = [] }: Replacement): PlannedTensor[] {
  const packed = linears.flatMap((linear) => {
    const refusal = format.refusal(linear);
    if (refusal !== null) throw new InputError(`plan '${linear.module}' as ${format.name}: ${refusal}`);
    return format.entries(linear);
  });
  return [
    ...packed.map((entry): PlannedTensor => ({ ...entry, origin: 'packed', source })),
    ...tensors.map((entry): PlannedTensor => ({ ...entry, origin: 'split', source })),
  ];
}

function unquantizedEntry(source: Checkpoint, tensor: LogicalTensor, decodedDtype: Half): TensorEntry {
  const stored = tensor.encoding === 'plain' ? source.infos.get(tensor.name) : undefined;
  return { name: tensor.name, dtype: stored?.dtype ?? decodedDtype, shape: tensor.shape };
}

/** The Linears of a plan, by what becomes of them: 2-D weights other than embeddings count as Linears. */
export function linearLayout(plan: readonly PlannedTensor[], replacements: readonly Replacement[]): LinearLayout {
  const unquantized = plan.filter(({ origin, name, shape }) => origin !== 'packed' && isLinearWeight(name, shape));
  return {
    quantized: replacements.flatMap(({ linears }) => linears),
    unquantized: unquantized.map(({ name }) => name.slice(0, -'.weight'.length)),
  };
}

/** Whether a tensor of the output is the weight of a Linear, as far as name and shape tell. */
export function isLinearWeight(name: string, shape: readonly number[]): boolean {
  return shape.length === 2 && name.endsWith('.weight') && !/embed|\bwte\b|\bwpe\b/i.test(name);
}

/**
 * The output's config.json: the source's, with its quantization settings replaced wherever they stood. A multimodal
 * model gets them at the top level, where runtimes look.
 */
export function quantizedConfig(config: JsonObject, quantization: JsonObject): JsonObject {
  const nested = Object.entries(config).map(([key, value]): [string, unknown] =>
    key.endsWith('_config') && isJsonObject(value) ? [key, withoutQuantization(value)] : [key, value],
  );
  return { ...withoutQuantization(Object.fromEntries(nested)), quantization_config: quantization };
}

function withoutQuantization(config: JsonObject): JsonObject {
  const dropped = new Set(['quantization_config', 'compression_config']);
  return Object.fromEntries(Object.entries(config).filter(([key]) => !dropped.has(key)));
}
