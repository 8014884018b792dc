import { InputError } from '../errors.js';
import { AWQ_ORDER } from './autoawq.js';
import { roundToHalf } from './half.js';
import { byRows, readWhole, type Decoder, type LogicalTensor } from './logical.js';
import type { RawTensors } from './raw.js';
import type { TensorInfo } from './tensor-source.js';
import { codesPerWord, transposeCodes, unpackRows } from './words.js';

/** Codes decoded per step. */
const CHUNK_CODES = 1 << 20;

/**
 * Weights of compressed-tensors `pack-quantized`, under their logical name `<module>.weight`; the inverse of
 * `compressed-tensors.ts`. Values are (code − zero point) · scale rounded to the scales' dtype, which is what the
 * runtimes multiply with.
 */
export const compressedTensorsWeights: Decoder = function* (raw) {
  for (const packed of raw.infos.values()) {
    if (!packed.name.endsWith('.weight_packed')) continue;
    const module = packed.name.slice(0, -'.weight_packed'.length);
    const scales = part(raw, packed, `${module}.weight_scale`);
    const shape = part(raw, packed, `${module}.weight_shape`);
    const zeroPoints = raw.infos.get(`${module}.weight_zero_point`);
    if (raw.infos.has(`${module}.weight_g_idx`)) {
      throw new InputError(
        `read tensor '${packed.name}': columns reordered by '${module}.weight_g_idx' aren't supported`,
      );
    }
    if (packed.dtype !== 'I32' || packed.shape.length !== 2 || scales.shape.length !== 2) {
      throw new InputError(
        `read tensor '${packed.name}': wanted I32 [N, K·bits/32] with 2-D scales, got ${packed.dtype}`,
      );
    }
    yield compressedTensorsWeight(raw, `${module}.weight`, { packed, scales, shape, zeroPoints });
  }
};

interface PackedParts {
  readonly packed: TensorInfo;
  readonly scales: TensorInfo;
  readonly shape: TensorInfo;
  readonly zeroPoints: TensorInfo | undefined;
}

function compressedTensorsWeight(raw: RawTensors, name: string, parts: PackedParts): LogicalTensor {
  const { packed, scales: scaleInfo, zeroPoints: zeroInfo } = parts;
  const [, wordColumns = 0] = packed.shape;
  const [, groups = 0] = scaleInfo.shape;
  const shape = once((): readonly [number, number] => {
    const [rows = 0, columns = 0] = readWhole(raw, parts.shape);
    if (rows !== packed.shape[0] || rows !== scaleInfo.shape[0] || groups === 0 || columns % groups !== 0) {
      throw new InputError(
        `read tensor '${name}': weight_shape [${rows}, ${columns}] fits neither the packed words ` +
          `[${packed.shape.join(', ')}] nor the scales [${scaleInfo.shape.join(', ')}]`,
      );
    }
    return [rows, columns];
  });
  const bits = once(() => bitsOf(name, shape()[1], wordColumns));
  const scales = once(() => readWhole(raw, scaleInfo));
  const zeroPoints = once(() => {
    if (zeroInfo === undefined) return null;
    // Packed along the outputs: columns of words, unpacked after turning.
    const words = readWords(raw, zeroInfo, 0, zeroInfo.shape[0]!);
    return transposeCodes(unpackRows(turned(words, groups), shape()[0], bits()), groups, shape()[0]);
  });

  return {
    name,
    encoding: 'compressed-tensors',
    parts: [packed, scaleInfo, parts.shape, ...(zeroInfo === undefined ? [] : [zeroInfo])].map((info) => info.name),
    get shape() {
      return shape();
    },
    decode(begin, end, target, offset) {
      const columns = shape()[1];
      byRows(columns, (from, to, rows, rowOffset) => {
        const step = Math.max(1, Math.floor(CHUNK_CODES / columns));
        for (let first = from; first < to; first += step) {
          const last = Math.min(to, first + step);
          const codes = unpackRows(readWords(raw, packed, first, last), columns, bits());
          const range = { scales: scales(), zeroPoints: zeroPoints(), firstGroup: first * groups, columns, groups };
          const values = rows.subarray(rowOffset + (first - from) * columns, rowOffset + (last - from) * columns);
          dequantize(codes, range, values);
          roundToScale(values, scaleInfo);
        }
      })(begin, end, target, offset);
    },
  };
}

/** Weights of AutoAWQ `gemm`, under their logical name `<module>.weight` and in the usual orientation [N, K]. */
export const autoawqWeights: Decoder = function* (raw) {
  for (const packed of raw.infos.values()) {
    if (!packed.name.endsWith('.qweight')) continue;
    const module = packed.name.slice(0, -'.qweight'.length);
    const zeros = part(raw, packed, `${module}.qzeros`);
    const scales = part(raw, packed, `${module}.scales`);
    const [inputs = 0, octets = 0] = packed.shape;
    const [groups = 0] = scales.shape;
    const fits =
      packed.dtype === 'I32' &&
      zeros.dtype === 'I32' &&
      groups > 0 &&
      inputs % groups === 0 &&
      zeros.shape[0] === groups &&
      zeros.shape[1] === octets &&
      scales.shape[1] === 8 * octets;
    if (!fits) {
      throw new InputError(
        `read tensor '${packed.name}': wanted qweight [K, N/8], qzeros [K/G, N/8], scales [K/G, N], got ` +
          [packed, zeros, scales].map(({ shape }) => `[${shape.join(', ')}]`).join(', '),
      );
    }
    yield autoawqWeight(raw, `${module}.weight`, packed, zeros, scales);
  }
};

function autoawqWeight(
  raw: RawTensors,
  name: string,
  packed: TensorInfo,
  zeroInfo: TensorInfo,
  scaleInfo: TensorInfo,
): LogicalTensor {
  const [columns = 0, octets = 0] = packed.shape;
  const outputs = 8 * octets;
  const groups = scaleInfo.shape[0]!;
  const scales = once(() => turnedValues(readWhole(raw, scaleInfo), groups, outputs));
  const unpackTurned = (info: TensorInfo): Int8Array => {
    const rows = info.shape[0]!;
    return transposeCodes(unpackRows(readWords(raw, info, 0, rows), outputs, 4, AWQ_ORDER), rows, outputs);
  };
  const zeroPoints = once(() => unpackTurned(zeroInfo));
  return {
    name,
    encoding: 'autoawq',
    parts: [packed.name, zeroInfo.name, scaleInfo.name],
    shape: [outputs, columns],
    decode: byRows(columns, (from, to, target, offset) => {
      // Outputs are the fast dimension in the file: any row needs all of the words.
      const codes = unpackTurned(packed).subarray(from * columns, to * columns);
      const values = target.subarray(offset, offset + (to - from) * columns);
      const range = { scales: scales(), zeroPoints: zeroPoints(), firstGroup: from * groups, columns, groups };
      dequantize(codes, range, values);
      roundToScale(values, scaleInfo);
    }),
  };
}

interface GroupRange {
  readonly scales: Float32Array;
  readonly zeroPoints: Int8Array | null;
  /** Which scale the first code belongs to. */
  readonly firstGroup: number;
  readonly columns: number;
  readonly groups: number;
}

function dequantize(codes: Int8Array, range: GroupRange, values: Float32Array): void {
  const { scales, zeroPoints, columns, groups } = range;
  const size = columns / groups;
  for (let start = 0, group = range.firstGroup; start < codes.length; start += size, group++) {
    const scale = scales[group]!;
    const zero = zeroPoints === null ? 0 : zeroPoints[group]!;
    for (let i = start; i < start + size; i++) values[i] = (codes[i]! - zero) * scale;
  }
}

function roundToScale(values: Float32Array, { dtype }: TensorInfo): void {
  if (dtype === 'BF16' || dtype === 'F16') roundToHalf(values, dtype);
}

function bitsOf(name: string, columns: number, wordColumns: number): 4 | 8 {
  for (const bits of [4, 8] as const) {
    if (Math.ceil(columns / codesPerWord(bits)) === wordColumns) return bits;
  }
  throw new InputError(
    `read tensor '${name}': ${wordColumns} words a row hold ${columns} codes of neither 4 nor 8 bits`,
  );
}

function part(raw: RawTensors, packed: TensorInfo, name: string): TensorInfo {
  const info = raw.infos.get(name);
  if (info === undefined)
    throw new InputError(`read tensor '${packed.name}' of '${packed.shard}': '${name}' is missing`);
  return info;
}

function readWords(raw: RawTensors, info: TensorInfo, from: number, to: number): Int32Array {
  const columns = info.shape[1]!;
  const words = new Int32Array((to - from) * columns);
  raw.readInto(info, 4 * from * columns, new Uint8Array(words.buffer));
  return words;
}

/** [rows, columns] → [columns, rows] */
function turned(words: Int32Array, columns: number): Int32Array {
  const rows = words.length / columns;
  return words.map((_, i) => words[(i % rows) * columns + Math.floor(i / rows)]!);
}

function turnedValues(values: Float32Array, rows: number, columns: number): Float32Array {
  return values.map((_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
}

function once<T>(compute: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => (result ??= { value: compute() }).value;
}
