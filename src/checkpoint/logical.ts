import type { JsonObject } from './json-file.js';
import { elementCount } from './slice.js';
import type { RawTensors } from './raw.js';
import type { TensorInfo } from './tensor-source.js';
import { readWidened } from './widen.js';

/** How a tensor's numbers are stored. */
export type Encoding = 'plain' | 'fp8' | 'mxfp4' | 'compressed-tensors' | 'autoawq';

/** A tensor as a model sees it: decoded to f32 whatever its parts look like in the file. */
export interface LogicalTensor {
  readonly name: string;
  readonly encoding: Encoding;
  /** The stored tensors that make it up, the main one first. */
  readonly parts: readonly string[];
  /** Shape after decoding. */
  readonly shape: readonly number[];
  /** Decodes the flat elements [begin, end) to `target[offset]`. */
  decode(begin: number, end: number, target: Float32Array, offset: number): void;
}

/** Finds the tensors of one encoding among the stored ones. */
export type Decoder = (raw: RawTensors, quantization: JsonObject) => Iterable<LogicalTensor>;

export function plainTensor(raw: RawTensors, info: TensorInfo): LogicalTensor {
  return {
    name: info.name,
    encoding: 'plain',
    parts: [info.name],
    shape: info.shape,
    decode: (begin, end, target, offset) => readWidened(raw, info, begin, end, target, offset),
  };
}

/** A whole stored tensor (scales, zero points), widened. */
export function readWhole(raw: RawTensors, info: TensorInfo): Float32Array {
  const values = new Float32Array(elementCount(info.shape));
  readWidened(raw, info, 0, values.length, values, 0);
  return values;
}

/** Decodes flat rows [from, to) of a matrix to `target[offset]`. */
export type DecodeRows = (from: number, to: number, target: Float32Array, offset: number) => void;

/** Lets a decoder that works by whole rows serve any element range. */
export function byRows(columns: number, decodeRows: DecodeRows): LogicalTensor['decode'] {
  return (begin, end, target, offset) => {
    if (begin === end) return;
    const from = Math.floor(begin / columns);
    const to = Math.ceil(end / columns);
    if (from * columns === begin && to * columns === end) {
      decodeRows(from, to, target, offset);
      return;
    }
    const rows = new Float32Array((to - from) * columns);
    decodeRows(from, to, rows, 0);
    target.set(rows.subarray(begin - from * columns, end - from * columns), offset);
  };
}
