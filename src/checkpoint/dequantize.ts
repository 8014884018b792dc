import { InputError } from '../errors.js';
import { roundToHalf } from './half.js';
import type { RawTensors } from './raw.js';
import type { TensorInfo } from './tensor-source.js';

/** Scales and zero points [rows, groups] of the rows being decoded. */
export interface Groups {
  readonly scales: Float32Array;
  readonly scaleDtype: TensorInfo['dtype'];
  readonly zeroPoints: Int8Array | null;
  /** Which scale the first code belongs to. */
  readonly first: number;
  /** Codes per scale. */
  readonly size: number;
}

/**
 * (code − zero point) · scale, rounded to the scales' dtype: what the runtimes multiply with. Codes and zero points are
 * in the signed domain.
 */
export function dequantize(codes: Int8Array, groups: Groups, values: Float32Array): void {
  const { scales, zeroPoints, size, scaleDtype } = groups;
  for (let start = 0, group = groups.first; start < codes.length; start += size, group++) {
    const scale = scales[group]!;
    const zero = zeroPoints === null ? 0 : zeroPoints[group]!;
    for (let i = start; i < start + size; i++) values[i] = (codes[i]! - zero) * scale;
  }
  if (scaleDtype === 'BF16' || scaleDtype === 'F16') roundToHalf(values, scaleDtype);
}

/** Rows [from, to) of a 2-D I32 tensor. */
export function readWords(raw: RawTensors, info: TensorInfo, from = 0, to = info.shape[0]!): Int32Array {
  const columns = info.shape[1]!;
  const words = new Int32Array((to - from) * columns);
  raw.readInto(info, 4 * from * columns, new Uint8Array(words.buffer));
  return words;
}

/** A tensor that must stand beside the packed one. */
export function besides(raw: RawTensors, packed: TensorInfo, name: string): TensorInfo {
  const info = raw.infos.get(name);
  if (info === undefined)
    throw new InputError(`read tensor '${packed.name}' of '${packed.shard}': '${name}' is missing`);
  return info;
}
