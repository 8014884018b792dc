import { InputError } from '../errors.js';
import { float8Table } from './float8.js';
import type { JsonObject } from './json-file.js';
import { byRows, readWhole, type Decoder, type LogicalTensor } from './logical.js';
import type { RawTensors } from './raw.js';
import { elementCount } from './slice.js';
import type { TensorInfo } from './tensor-source.js';

/** DeepSeek-V3's block, where the config does not say. */
const DEFAULT_BLOCK: readonly [number, number] = [128, 128];
/** Bytes of fp8 decoded per step. */
const CHUNK_BYTES = 1 << 20;

/**
 * FP8 weights with scales beside them: `<name>_scale_inv` (DeepSeek-V3, MiniMax-M2, Kimi; despite its name it is
 * multiplied) or `<name>_scale`, one per tensor, per row, or per block of `weight_block_size`. Leading dimensions are
 * batches. Value = fp8 × scale in f32.
 */
export const fp8Weights: Decoder = function* (raw, quantization) {
  const block = blockSize(quantization);
  for (const info of raw.infos.values()) {
    const { dtype } = info;
    if (dtype !== 'F8_E4M3' && dtype !== 'F8_E5M2') continue;
    const scale = raw.infos.get(`${info.name}_scale_inv`) ?? raw.infos.get(`${info.name}_scale`);
    if (scale === undefined) {
      throw new InputError(
        `read tensor '${info.name}' of '${info.shard}': wanted '${info.name}_scale_inv' or '${info.name}_scale' ` +
          'beside an fp8 weight, got neither',
      );
    }
    yield fp8Tensor(raw, info, float8Table(dtype), scale, block);
  }
};

function fp8Tensor(
  raw: RawTensors,
  info: TensorInfo,
  table: Float32Array,
  scaleInfo: TensorInfo,
  configured: readonly [number, number],
): LogicalTensor {
  const columns = info.shape.at(-1) ?? 1;
  const rows = info.shape.at(-2) ?? 1;
  const [blockRows, blockColumns] = scaleBlock(info, scaleInfo, rows, columns, configured);
  const scaleColumns = Math.ceil(columns / blockColumns);
  const scaleRows = Math.ceil(rows / blockRows);
  const perTensor = elementCount(scaleInfo.shape) === 1;
  let scales: Float32Array | undefined;

  return {
    name: info.name,
    encoding: 'fp8',
    parts: [info.name, scaleInfo.name],
    shape: info.shape,
    decode: byRows(columns, (from, to, target, offset) => {
      scales ??= readWhole(raw, scaleInfo);
      const step = Math.max(1, Math.floor(CHUNK_BYTES / columns));
      const bytes = new Uint8Array(Math.min(step, to - from) * columns);
      for (let first = from; first < to; first += step) {
        const last = Math.min(to, first + step);
        raw.readInto(info, first * columns, bytes.subarray(0, (last - first) * columns));
        let source = 0;
        for (let row = first; row < last; row++) {
          const batch = Math.floor(row / rows);
          const scaleRow = perTensor ? 0 : (batch * scaleRows + Math.floor((row % rows) / blockRows)) * scaleColumns;
          for (let column = 0; column < columns; column += blockColumns) {
            const scale = perTensor ? scales[0]! : scales[scaleRow + column / blockColumns]!;
            const end = source + Math.min(blockColumns, columns - column);
            for (; source < end; source++) target[offset++] = table[bytes[source]!]! * scale;
          }
        }
      }
    }),
  };
}

/** How many rows and columns share a scale, from the scale tensor's own shape. */
function scaleBlock(
  info: TensorInfo,
  scale: TensorInfo,
  rows: number,
  columns: number,
  configured: readonly [number, number],
): readonly [number, number] {
  if (elementCount(scale.shape) === 1) return [rows, columns];
  const batches = elementCount(info.shape.slice(0, -2));
  const trailing = scale.shape.length === 1 ? [scale.shape[0], 1] : scale.shape.slice(-2);
  const candidates = [configured, [1, columns], [rows, columns]] as const;
  for (const [blockRows, blockColumns] of candidates) {
    const wanted = [Math.ceil(rows / blockRows), Math.ceil(columns / blockColumns)] as const;
    const complete = elementCount(scale.shape) === batches * wanted[0] * wanted[1];
    if (complete && trailing[0] === wanted[0] && trailing[1] === wanted[1]) return [blockRows, blockColumns];
  }
  throw new InputError(
    `read tensor '${info.name}' of '${info.shard}': scales of shape [${scale.shape.join(', ')}] fit neither the whole ` +
      `tensor, nor its rows, nor blocks of ${configured.join(' × ')} of shape [${info.shape.join(', ')}]`,
  );
}

function blockSize(quantization: JsonObject): readonly [number, number] {
  const declared = quantization['weight_block_size'] ?? null;
  if (declared === null) return DEFAULT_BLOCK;
  const [rows, columns, ...more]: readonly unknown[] = Array.isArray(declared) ? declared : [];
  if (isSize(rows) && isSize(columns) && more.length === 0) return [rows, columns];
  throw new InputError(
    `read quantization_config: wanted weight_block_size as two positive integers, got ${JSON.stringify(declared)}`,
  );
}

function isSize(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0;
}
