import { InputError } from '../errors.js';
import type { Slice } from './tensor-source.js';

/** Number of elements of a shape; 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** The flat element range [begin, end) of a slice; throws InputError when it reaches outside the shape. */
export function sliceSpan(name: string, shape: readonly number[], slice: Slice = {}): [begin: number, end: number] {
  const fail = (problem: string): never => {
    throw new InputError(`read tensor '${name}' of shape [${shape.join(', ')}]: ${problem}`);
  };
  let rest = shape;
  let begin = 0;
  if (slice.index !== undefined) {
    const [size, ...inner] = shape;
    if (size === undefined || !Number.isInteger(slice.index) || slice.index < 0 || slice.index >= size) {
      return fail(`wanted an index below ${size ?? 0}, got ${slice.index}`);
    }
    rest = inner;
    begin = slice.index * elementCount(inner);
  }
  if (slice.rows === undefined) return [begin, begin + elementCount(rest)];
  const [from, to] = slice.rows;
  const [size = 0, ...inner] = rest;
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 0 || to < from || to > size) {
    return fail(`wanted rows within [0, ${size}), got [${from}, ${to})`);
  }
  const stride = elementCount(inner);
  return [begin + from * stride, begin + to * stride];
}
