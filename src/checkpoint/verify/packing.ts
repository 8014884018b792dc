import { InputError } from '../../errors.js';
import { autoawq } from '../autoawq.js';
import { compressedTensors } from '../compressed-tensors.js';
import type { LogicalTensor } from '../logical.js';
import type { Checkpoint } from '../open.js';
import { codesPerWord } from '../words.js';
import type { Finding } from './finding.js';

/** A quantized Linear as its own tensors describe it. */
export interface PackedModule {
  readonly shape: readonly [outFeatures: number, inFeatures: number];
  readonly bits: 4 | 8;
  readonly symmetric: boolean;
  /** Inputs that share a scale: all of them when by channel, which looks the same as one wide group. */
  readonly groupSize: number;
}

/** Checks every packed Linear's tensors against each other; returns the sound ones by module path. */
export function* verifyPacking(output: Checkpoint): Generator<Finding, Map<string, PackedModule>> {
  const modules = new Map<string, PackedModule>();
  for (const tensor of output.tensors.values()) {
    if (tensor.encoding !== 'compressed-tensors' && tensor.encoding !== 'autoawq') continue;
    const module = tensor.name.slice(0, -'.weight'.length);
    try {
      const packed = describe(output, tensor);
      yield* verifyEntries(output, module, tensor, packed);
      yield* verifyScales(output, tensor);
      if (tensor.encoding === 'compressed-tensors') yield* verifyPadding(output, module, packed);
      modules.set(module, packed);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      yield { check: 'packing', subject: module, message: error.message };
    }
  }
  return modules;
}

function describe(output: Checkpoint, tensor: LogicalTensor): PackedModule {
  const [outFeatures = 0, inFeatures = 0] = tensor.shape;
  const scaleShape = output.infos.get(scalesOf(tensor))!.shape;
  const groups = tensor.encoding === 'autoawq' ? scaleShape[0]! : scaleShape[1]!;
  const words = output.infos.get(tensor.parts[0]!)!.shape[1]!;
  const eightBits = tensor.encoding === 'compressed-tensors' && Math.ceil(inFeatures / codesPerWord(8)) === words;
  return {
    shape: [outFeatures, inFeatures],
    bits: eightBits ? 8 : 4,
    symmetric: tensor.encoding === 'compressed-tensors' && tensor.parts.length === 3,
    groupSize: inFeatures / groups,
  };
}

/** Dtypes and shapes are those that the format prescribes for the scheme. */
function* verifyEntries(
  output: Checkpoint,
  module: string,
  tensor: LogicalTensor,
  { shape: [outFeatures, inFeatures], ...scheme }: PackedModule,
): Generator<Finding> {
  const scaleDtype = output.infos.get(scalesOf(tensor))!.dtype;
  if (scaleDtype !== 'BF16' && scaleDtype !== 'F16') {
    yield { check: 'scales', subject: scalesOf(tensor), message: `wanted dtype BF16 or F16, got ${scaleDtype}` };
    return;
  }
  const format = tensor.encoding === 'autoawq' ? autoawq : compressedTensors;
  for (const wanted of format.entries({ module, outFeatures, inFeatures, scheme, scaleDtype })) {
    const got = output.infos.get(wanted.name);
    const fits = got?.dtype === wanted.dtype && got.shape.join() === wanted.shape.join();
    if (!fits) {
      const found = got === undefined ? 'nothing' : `${got.dtype} [${got.shape.join(', ')}]`;
      const message = `wanted ${wanted.dtype} [${wanted.shape.join(', ')}], got ${found}`;
      yield { check: 'packing', subject: wanted.name, message };
    }
  }
}

function* verifyScales(output: Checkpoint, tensor: LogicalTensor): Generator<Finding> {
  const name = scalesOf(tensor);
  const scales = output.read(name);
  const bad = scales.findIndex((scale) => scale === 0 || !Number.isFinite(scale));
  if (bad >= 0) {
    yield {
      check: 'scales',
      subject: name,
      message: `wanted finite scales other than zero, got ${scales[bad]} at ${bad}`,
    };
  }
}

/** Bits beyond the last input feature are zero, as the reference packer leaves them. */
function* verifyPadding(
  output: Checkpoint,
  module: string,
  { shape: [outFeatures, inFeatures], bits }: PackedModule,
): Generator<Finding> {
  const perWord = codesPerWord(bits);
  const used = inFeatures % perWord;
  if (used === 0) return;
  const words = Math.ceil(inFeatures / perWord);
  const bytes = output.readBytes(`${module}.weight_packed`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let row = 0; row < outFeatures; row++) {
    if (view.getUint32(4 * (row * words + words - 1), true) >>> (bits * used) !== 0) {
      yield {
        check: 'packing',
        subject: `${module}.weight_packed`,
        message: `has bits beyond column ${inFeatures} in row ${row}`,
      };
      return;
    }
  }
}

function scalesOf({ encoding, parts }: LogicalTensor): string {
  return encoding === 'autoawq' ? parts[2]! : parts[1]!;
}
