import { InputError } from '../errors.js';
import { encodeHalf } from './half.js';
import { elementCount } from './slice.js';
import type { Dtype } from './tensor-source.js';

/** A tensor that a checkpoint will hold. */
export interface TensorEntry {
  readonly name: string;
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** A tensor with its bytes as stored. */
export interface EncodedTensor extends TensorEntry {
  readonly bytes: Uint8Array;
}

/** Encodes f32 values in a float dtype, rounding to nearest even; refuses values that are not finite there. */
export function encodeTensor(
  name: string,
  dtype: 'F32' | 'BF16' | 'F16',
  shape: readonly number[],
  values: Float32Array,
): EncodedTensor {
  if (elementCount(shape) !== values.length) {
    throw new RangeError(`encode tensor '${name}': wanted ${elementCount(shape)} values, got ${values.length}`);
  }
  assertFinite(`encode tensor '${name}'`, values);
  if (dtype === 'F32') {
    return { name, dtype, shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
  }
  const halves = encodeHalf(values, dtype);
  // bf16 rounds an f32 beyond 3.39e38 to infinity, f16 one from 65,520 on.
  const exponent = dtype === 'BF16' ? 0x7f80 : 0x7c00;
  for (let i = 0; i < halves.length; i++) {
    if ((halves[i]! & exponent) === exponent) {
      throw new InputError(`encode tensor '${name}': ${values[i]} at element ${i} does not fit ${dtype}`);
    }
  }
  return { name, dtype, shape, bytes: new Uint8Array(halves.buffer) };
}

/** Throws InputError naming the first NaN or infinity and how many there are; `action` opens the message. */
export function assertFinite(action: string, values: Float32Array): void {
  const bits = new Int32Array(values.buffer, values.byteOffset, values.length);
  let first = -1;
  let count = 0;
  for (let i = 0; i < bits.length; i++) {
    if ((bits[i]! & 0x7f800000) === 0x7f800000) {
      if (count++ === 0) first = i;
    }
  }
  if (count === 0) return;
  throw new InputError(
    `${action}: wanted finite numbers, got ${count} of ${values.length} that are not, ` +
      `first ${values[first]} at element ${first}`,
  );
}
