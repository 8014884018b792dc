import { InputError } from '../errors.js';
import { AWQ_ORDER } from './autoawq.js';
import { once } from '../once.js';
import { besides, dequantize, readWords } from './dequantize.js';
import { byRows, readWhole, type Decoder, type LogicalTensor } from './logical.js';
import type { RawTensors } from './raw.js';
import type { TensorInfo } from './tensor-source.js';
import { transposeInto } from './transpose.js';
import { unpackRows } from './words.js';

/** Outputs of one word. */
const OCTET = 8;

/** Weights of AutoAWQ `gemm`, under their logical name `<module>.weight` and in the usual orientation [N, K]. */
export const autoawqWeights: Decoder = function* (raw, { version = 'gemm', bits = 4 }) {
  if (version !== 'gemm' || bits !== 4) {
    throw new InputError(
      `read quantization_config: wanted AutoAWQ version "gemm" of 4 bits, got ${JSON.stringify({ version, bits })}`,
    );
  }
  for (const packed of raw.infos.values()) {
    if (!packed.name.endsWith('.qweight')) continue;
    const module = packed.name.slice(0, -'.qweight'.length);
    const zeros = besides(raw, packed, `${module}.qzeros`);
    const scales = besides(raw, packed, `${module}.scales`);
    const [inputs = 0, octets = 0] = packed.shape;
    const [groups = 0] = scales.shape;
    const fits =
      packed.dtype === 'I32' &&
      zeros.dtype === 'I32' &&
      packed.shape.length === 2 &&
      groups > 0 &&
      inputs % groups === 0 &&
      zeros.shape.join() === [groups, octets].join() &&
      scales.shape.join() === [groups, OCTET * octets].join();
    if (!fits) {
      throw new InputError(
        `read tensor '${packed.name}': wanted I32 qweight [K, N/8], I32 qzeros [K/G, N/8], scales [K/G, N], got ` +
          [packed, zeros, scales].map(({ dtype, shape }) => `${dtype} [${shape.join(', ')}]`).join(', '),
      );
    }
    yield gemmWeight(raw, `${module}.weight`, packed, zeros, scales);
  }
};

function gemmWeight(
  raw: RawTensors,
  name: string,
  packed: TensorInfo,
  zeroInfo: TensorInfo,
  scaleInfo: TensorInfo,
): LogicalTensor {
  const [columns = 0, octets = 0] = packed.shape;
  const outputs = OCTET * octets;
  const groups = scaleInfo.shape[0]!;
  const unpackTurned = (info: TensorInfo): Int8Array => {
    const codes = unpackRows(readWords(raw, info), outputs, 4, AWQ_ORDER);
    return transposeInto(codes, info.shape[0]!, outputs, new Int8Array(codes.length));
  };
  const zeroPoints = once(() => unpackTurned(zeroInfo));
  const scales = once(() => {
    const stored = readWhole(raw, scaleInfo);
    return transposeInto(stored, groups, outputs, new Float32Array(stored.length));
  });
  return {
    name,
    encoding: 'autoawq',
    parts: [packed.name, zeroInfo.name, scaleInfo.name],
    shape: [outputs, columns],
    decode: byRows(columns, (from, to, target, offset) => {
      // Outputs are the fast dimension in the file: any row needs all of the words.
      const codes = unpackTurned(packed).subarray(from * columns, to * columns);
      const values = target.subarray(offset, offset + codes.length);
      const { dtype: scaleDtype } = scaleInfo;
      const size = columns / groups;
      dequantize(codes, { scales: scales(), scaleDtype, zeroPoints: zeroPoints(), first: from * groups, size }, values);
    }),
  };
}
