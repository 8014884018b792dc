import { InputError } from '../errors.js';
import { float8Table } from './float8.js';
import { byRows, readWhole, type Decoder, type LogicalTensor } from './logical.js';
import type { RawTensors } from './raw.js';
import type { TensorInfo } from './tensor-source.js';

/** The sixteen E2M1 values of OCP MX 1.0, by code. */
export const FP4_VALUES = Float32Array.of(0, 0.5, 1, 1.5, 2, 3, 4, 6, -0, -0.5, -1, -1.5, -2, -3, -4, -6);
/** Values that share one E8M0 scale, and the bytes they take. */
const BLOCK = 32;
const BLOCK_BYTES = 16;

/**
 * gpt-oss's MXFP4 experts: `<name>_blocks` U8 [E, R, C/32, 16] (low nibble first) and `<name>_scales` U8 [E, R, C/32].
 * The logical tensor is the transpose [E, C, R], the layout of the same model's bf16 checkpoint.
 */
export const mxfp4Weights: Decoder = function* (raw) {
  for (const blocks of raw.infos.values()) {
    if (!blocks.name.endsWith('_blocks') || blocks.dtype !== 'U8') continue;
    const name = blocks.name.slice(0, -'_blocks'.length);
    const scales = raw.infos.get(`${name}_scales`);
    const [experts, rows, groups, width] = blocks.shape;
    const fits =
      blocks.shape.length === 4 &&
      width === BLOCK_BYTES &&
      scales?.dtype === 'U8' &&
      scales.shape.length === 3 &&
      scales.shape.every((size, i) => size === blocks.shape[i]);
    if (!fits) {
      throw new InputError(
        `read tensor '${blocks.name}' of '${blocks.shard}': wanted U8 [E, R, C/32, 16] with '${name}_scales' U8 ` +
          `[E, R, C/32], got [${blocks.shape.join(', ')}] with ${scales ? `[${scales.shape.join(', ')}]` : 'no scales'}`,
      );
    }
    yield mxfp4Tensor(raw, name, blocks, scales, [experts!, rows!, groups!]);
  }
};

function mxfp4Tensor(
  raw: RawTensors,
  name: string,
  blocksInfo: TensorInfo,
  scalesInfo: TensorInfo,
  [experts, rows, groups]: readonly [number, number, number],
): LogicalTensor {
  const columns = groups * BLOCK;
  let exponents: Float32Array | undefined;

  /** Decodes columns [from, to) of one expert, transposed: target[c − from, r]. */
  const decodeExpert = (expert: number, from: number, to: number, target: Float32Array, offset: number): void => {
    exponents ??= readScales(raw, scalesInfo);
    const bytes = new Uint8Array(rows * groups * BLOCK_BYTES);
    raw.readInto(blocksInfo, expert * bytes.length, bytes);
    for (let row = 0; row < rows; row++) {
      const group = (expert * rows + row) * groups;
      for (let column = from; column < to; column++) {
        const byte = bytes[(row * columns + column) >> 1]!;
        const code = (column & 1) === 0 ? byte & 15 : byte >> 4;
        target[offset + (column - from) * rows + row] = FP4_VALUES[code]! * exponents[group + (column >> 5)]!;
      }
    }
  };

  return {
    name,
    encoding: 'mxfp4',
    parts: [blocksInfo.name, scalesInfo.name],
    shape: [experts, columns, rows],
    decode: byRows(rows, (from, to, target, offset) => {
      for (let row = from; row < to;) {
        const expert = Math.floor(row / columns);
        const last = Math.min(to, (expert + 1) * columns);
        decodeExpert(expert, row - expert * columns, last - expert * columns, target, offset);
        offset += (last - row) * rows;
        row = last;
      }
    }),
  };
}

function readScales(raw: RawTensors, info: TensorInfo): Float32Array {
  const table = float8Table('F8_E8M0');
  return readWhole(raw, info).map((code) => table[code]!);
}
