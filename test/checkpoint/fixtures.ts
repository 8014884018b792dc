import { expect } from 'vitest';
import type { EncodedTensor } from '../../src/checkpoint/encode.js';
import { encodeHalf } from '../../src/checkpoint/half.js';
import type { Dtype } from '../../src/checkpoint/tensor-source.js';
import { InputError } from '../../src/errors.js';

/** A float tensor of the given values. */
export function tensor(name: string, dtype: Dtype, shape: number[], values: ArrayLike<number>): EncodedTensor {
  const floats = Float32Array.from(values);
  const stored = dtype === 'F32' ? floats : encodeHalf(floats, dtype === 'F16' ? 'F16' : 'BF16');
  return { name, dtype, shape, bytes: new Uint8Array(stored.buffer) };
}

/** An fp8 tensor of ones. */
export function fp8(name: string, shape: number[]): EncodedTensor {
  return { name, shape, dtype: 'F8_E4M3', bytes: new Uint8Array(shape.reduce((a, b) => a * b)).fill(0x38) };
}

/** The message of the InputError that a call must throw. */
export function failure(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('wanted an InputError, got none');
}
