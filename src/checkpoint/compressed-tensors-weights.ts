import { InputError } from '../errors.js';
import { once } from '../once.js';
import { besides, dequantize, readWords } from './dequantize.js';
import { isJsonObject, type JsonObject } from './json-file.js';
import { byRows, readWhole, type Decoder, type LogicalTensor } from './logical.js';
import type { RawTensors } from './raw.js';
import type { TensorInfo } from './tensor-source.js';
import { transposeInto } from './transpose.js';
import { codesPerWord, unpackRows } from './words.js';

/** Codes decoded per step. */
const CHUNK_CODES = 1 << 20;

/**
 * Weights of compressed-tensors `pack-quantized`, under their logical name `<module>.weight`; the inverse of
 * `compressed-tensors.ts`.
 */
export const compressedTensorsWeights: Decoder = function* (raw, settings) {
  assertReadable(settings);
  for (const packed of raw.infos.values()) {
    if (!packed.name.endsWith('.weight_packed')) continue;
    const module = packed.name.slice(0, -'.weight_packed'.length);
    const scales = besides(raw, packed, `${module}.weight_scale`);
    const shape = besides(raw, packed, `${module}.weight_shape`);
    const zeroPoints = raw.infos.get(`${module}.weight_zero_point`);
    if (raw.infos.has(`${module}.weight_g_idx`)) {
      throw new InputError(`read tensor '${packed.name}': columns reordered by weight_g_idx aren't supported`);
    }
    if (packed.dtype !== 'I32' || packed.shape.length !== 2 || scales.shape.length !== 2) {
      throw new InputError(
        `read tensor '${packed.name}': wanted I32 [N, K·bits/32] with 2-D scales, got ${packed.dtype}`,
      );
    }
    yield packedWeight(raw, `${module}.weight`, { packed, scales, shape, zeroPoints });
  }
};

/** fp8 weights are another decoder's; other formats keep integers under the plain name, or pack differently. */
const READABLE: readonly unknown[] = [
  'pack-quantized',
  'float-quantized',
  'naive-quantized',
  'dense',
  'mixed-precision',
];

function assertReadable(settings: JsonObject): void {
  const groups = isJsonObject(settings['config_groups']) ? Object.values(settings['config_groups']) : [];
  const formats = [settings, ...groups.filter(isJsonObject)].map((group) => group['format'] ?? 'pack-quantized');
  const other = formats.find((format) => !READABLE.includes(format));
  if (other === undefined) return;
  throw new InputError(
    `read quantization_config: wanted a compressed-tensors format among ${READABLE.join(', ')}, got ${JSON.stringify(other)}`,
  );
}

interface Parts {
  readonly packed: TensorInfo;
  readonly scales: TensorInfo;
  readonly shape: TensorInfo;
  readonly zeroPoints: TensorInfo | undefined;
}

function packedWeight(raw: RawTensors, name: string, parts: Parts): LogicalTensor {
  const { packed, scales: scaleInfo, zeroPoints: zeroInfo } = parts;
  const layout = once(() => readLayout(raw, name, parts));
  const scales = once(() => readWhole(raw, scaleInfo));
  const zeroPoints = once(() => (zeroInfo === undefined ? null : readZeroPoints(raw, zeroInfo, layout())));
  return {
    name,
    encoding: 'compressed-tensors',
    parts: [packed, scaleInfo, parts.shape, ...(zeroInfo === undefined ? [] : [zeroInfo])].map((info) => info.name),
    get shape() {
      return [layout().rows, layout().columns];
    },
    decode(begin, end, target, offset) {
      const { columns, bits, groups } = layout();
      byRows(columns, (from, to, rows, rowOffset) => {
        const step = Math.max(1, Math.floor(CHUNK_CODES / columns));
        for (let row = from; row < to; row += step) {
          const last = Math.min(to, row + step);
          const codes = unpackRows(readWords(raw, packed, row, last), columns, bits);
          const values = rows.subarray(rowOffset + (row - from) * columns, rowOffset + (last - from) * columns);
          const size = columns / groups;
          const first = row * groups;
          const { dtype: scaleDtype } = scaleInfo;
          dequantize(codes, { scales: scales(), scaleDtype, zeroPoints: zeroPoints(), first, size }, values);
        }
      })(begin, end, target, offset);
    },
  };
}

interface Layout {
  readonly rows: number;
  readonly columns: number;
  readonly groups: number;
  readonly bits: 4 | 8;
}

/** Reads `weight_shape` and holds the other parts' shapes against it; the bits follow from words and columns. */
function readLayout(raw: RawTensors, name: string, { packed, scales, shape, zeroPoints }: Parts): Layout {
  const [rows = 0, columns = 0] = readWhole(raw, shape);
  const groups = scales.shape[1]!;
  const fits = (bits: 4 | 8): boolean => {
    const perWord = codesPerWord(bits);
    const zeroShape = [Math.ceil(rows / perWord), groups].join();
    return (
      packed.shape.join() === [rows, Math.ceil(columns / perWord)].join() &&
      (zeroPoints === undefined || (zeroPoints.dtype === 'I32' && zeroPoints.shape.join() === zeroShape))
    );
  };
  const bits = ([4, 8] as const).find(fits);
  if (bits === undefined || rows !== scales.shape[0] || groups === 0 || columns % groups !== 0) {
    const others = [packed, scales, ...(zeroPoints === undefined ? [] : [zeroPoints])];
    throw new InputError(
      `read tensor '${name}': weight_shape [${rows}, ${columns}] does not fit ` +
        others.map((info) => `'${info.name}' ${info.dtype} [${info.shape.join(', ')}]`).join(', '),
    );
  }
  return { rows, columns, groups, bits };
}

/** Zero points [rows, groups]; they are packed along the rows, so the words are turned first and the codes back. */
function readZeroPoints(raw: RawTensors, info: TensorInfo, { rows, groups, bits }: Layout): Int8Array {
  const words = readWords(raw, info);
  const turned = transposeInto(words, info.shape[0]!, groups, new Int32Array(words.length));
  const codes = unpackRows(turned, rows, bits);
  return transposeInto(codes, groups, rows, new Int8Array(codes.length));
}
