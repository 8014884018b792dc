import { InputError } from '../errors.js';
import { f16Table } from './half.js';
import { float8Table } from './float8.js';
import type { RawTensors } from './raw.js';
import type { TensorInfo } from './tensor-source.js';

/** Elements converted per step where the stored bytes need a buffer of their own. */
const CHUNK = 1 << 16;

/**
 * Elements [begin, end) of a stored tensor, widened to f32 at `target[offset]`. Integers become their nearest f32
 * (exact up to 2^24). f32 bytes land in the target directly; 16-bit halves are read into the target's own tail and
 * widened forwards over themselves, so neither needs a buffer.
 */
export function readWidened(
  raw: RawTensors,
  info: TensorInfo,
  begin: number,
  end: number,
  target: Float32Array,
  offset: number,
): void {
  const count = end - begin;
  const start = target.byteOffset + 4 * offset;
  switch (info.dtype) {
    case 'F32':
      raw.readInto(info, 4 * begin, new Uint8Array(target.buffer, start, 4 * count));
      return;
    case 'BF16':
    case 'F16': {
      const words = new Uint32Array(target.buffer, start, count);
      const halves = new Uint16Array(target.buffer, start + 2 * count, count);
      raw.readInto(info, 2 * begin, new Uint8Array(target.buffer, start + 2 * count, 2 * count));
      if (info.dtype === 'BF16') {
        for (let i = 0; i < count; i++) words[i] = halves[i]! << 16;
      } else {
        const table = f16Table();
        for (let i = 0; i < count; i++) words[i] = table[halves[i]!]!;
      }
      return;
    }
    default: {
      const convert = converter(info);
      for (let done = 0; done < count; done += CHUNK) {
        const length = Math.min(CHUNK, count - done);
        const bytes = new Uint8Array(convert.bytes * length);
        raw.readInto(info, convert.bytes * (begin + done), bytes);
        convert.into(bytes.buffer, target.subarray(offset + done, offset + done + length));
      }
    }
  }
}

interface Converter {
  readonly bytes: number;
  into(stored: ArrayBuffer, target: Float32Array): void;
}

function converter(info: TensorInfo): Converter {
  switch (info.dtype) {
    case 'F64':
      return { bytes: 8, into: (stored, target) => target.set(new Float64Array(stored)) };
    case 'I64':
      return { bytes: 8, into: (stored, target) => setBigInts(new BigInt64Array(stored), target) };
    case 'U64':
      return { bytes: 8, into: (stored, target) => setBigInts(new BigUint64Array(stored), target) };
    case 'I32':
      return { bytes: 4, into: (stored, target) => target.set(new Int32Array(stored)) };
    case 'U32':
      return { bytes: 4, into: (stored, target) => target.set(new Uint32Array(stored)) };
    case 'I16':
      return { bytes: 2, into: (stored, target) => target.set(new Int16Array(stored)) };
    case 'U16':
      return { bytes: 2, into: (stored, target) => target.set(new Uint16Array(stored)) };
    case 'I8':
      return { bytes: 1, into: (stored, target) => target.set(new Int8Array(stored)) };
    case 'U8':
    case 'BOOL':
      return { bytes: 1, into: (stored, target) => target.set(new Uint8Array(stored)) };
    case 'F8_E4M3':
    case 'F8_E5M2':
    case 'F8_E8M0': {
      const table = float8Table(info.dtype);
      return {
        bytes: 1,
        into: (stored, target) => new Uint8Array(stored).forEach((byte, i) => (target[i] = table[byte]!)),
      };
    }
    default:
      throw new InputError(`read tensor '${info.name}' of '${info.shard}': dtype ${info.dtype} needs its block scales`);
  }
}

function setBigInts(stored: BigInt64Array | BigUint64Array, target: Float32Array): void {
  for (let i = 0; i < stored.length; i++) target[i] = Number(stored[i]);
}
