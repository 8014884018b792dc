import type { TensorSource } from '../checkpoint/tensor-source.js';
import { InputError } from '../errors.js';
import type { Binding } from '../graph/context.js';
import type { Linear, VectorRef, WeightRef } from '../model/plan.js';
import type { Feed } from './sessions.js';

/** Gives an array of so many values, whatever is in it. */
export type Allocate = (length: number) => Float32Array;

const fresh: Allocate = (length) => new Float32Array(length);

/** Where the layer pass takes its weights from; evaluation swaps it for a rounded view. */
export interface WeightReader {
  /** [out, in], contiguous, in an array from `allocate` or a fresh one. */
  weight(ref: WeightRef, allocate?: Allocate): Feed;
  vector(ref: VectorRef): Float32Array;
  raw(tensor: string): Float32Array;
}

export function createWeightReader(source: TensorSource): WeightReader {
  return {
    weight: (ref, allocate) => readWeight(source, ref, allocate),
    vector: (ref) => readVector(source, ref),
    raw: (tensor) => source.read(tensor),
  };
}

/** The same model with some weights replaced, by `weightKey`. */
export function overriddenReader(stored: WeightReader, overrides: ReadonlyMap<string, Feed>): WeightReader {
  if (overrides.size === 0) return stored;
  return {
    ...stored,
    weight: (ref, allocate) => overrides.get(weightKey(ref)) ?? stored.weight(ref, allocate),
  };
}

/** Tells one weight, or part of a fused tensor, from another. */
export function weightKey({ tensor, index, rows }: WeightRef): string {
  return `${tensor} ${index ?? ''} ${rows === undefined ? '' : `${rows.from}:${rows.to}:${rows.step}`}`;
}

/** Reads one 2-D weight, out of a fused tensor where it is part of one: never more than one expert's share. */
export function readWeight(source: TensorSource, ref: WeightRef, allocate: Allocate = fresh): Feed {
  const full = source.shape(ref.tensor);
  const [outer, inner] = full.slice(ref.index === undefined ? 0 : 1) as [number, number];
  const expert = ref.index === undefined ? {} : { index: ref.index };
  if (ref.transposed === true) return readTransposed(source, ref, outer, inner, allocate);
  const { from, to, step } = ref.rows ?? { from: 0, to: outer, step: 1 };
  if (step === 1) {
    const data = allocate((to - from) * inner);
    source.readInto(ref.tensor, data, 0, { ...expert, rows: [from, to] });
    return { data, shape: [to - from, inner] };
  }
  const span = source.read(ref.tensor, { ...expert, rows: [from, to] });
  const count = Math.ceil((to - from) / step);
  const data = allocate(count * inner);
  for (let row = 0; row < count; row++)
    data.set(span.subarray(row * step * inner, (row * step + 1) * inner), row * inner);
  return { data, shape: [count, inner] };
}

/** Stored rows read at once, and the side of the tiles they are transposed by: both sides of a tile stay in cache. */
const STRIP = 64;

/**
 * Columns from, to, step of a stored [in, out] become rows of [out, in]. The tensor is read strip by strip, so that
 * beside the result only 4 MB of a 16,384-wide one are held.
 */
function readTransposed(
  source: TensorSource,
  { tensor, index, rows }: WeightRef,
  inFeatures: number,
  width: number,
  allocate: Allocate,
): Feed {
  const { from, to, step } = rows ?? { from: 0, to: width, step: 1 };
  const count = Math.ceil((to - from) / step);
  const data = allocate(count * inFeatures);
  const strip = new Float32Array(Math.min(STRIP, inFeatures) * width);
  for (let first = 0; first < inFeatures; first += STRIP) {
    const last = Math.min(inFeatures, first + STRIP);
    source.readInto(tensor, strip, 0, { ...(index === undefined ? {} : { index }), rows: [first, last] });
    for (let tile = 0; tile < count; tile += STRIP) {
      const end = Math.min(count, tile + STRIP);
      for (let row = tile; row < end; row++) {
        for (let k = first, at = from + row * step; k < last; k++, at += width) data[row * inFeatures + k] = strip[at]!;
      }
    }
  }
  return { data, shape: [count, inFeatures] };
}

export function readVector(source: TensorSource, ref: VectorRef): Float32Array {
  const values = source.read(ref.tensor, ref.index === undefined ? undefined : { index: ref.index });
  if (ref.rows === undefined) return values;
  const { from, to, step } = ref.rows;
  const part = new Float32Array(Math.ceil((to - from) / step));
  for (let i = 0; i < part.length; i++) part[i] = values[from + i * step]!;
  return part;
}

/** Loads everything that bindings name; weights go into arrays of `allocate`, by name. */
export function loadBindings(
  reader: WeightReader,
  bindings: ReadonlyMap<string, Binding>,
  allocate?: (name: string, length: number) => Float32Array,
): Record<string, Feed> {
  const feeds: Record<string, Feed> = {};
  for (const [name, binding] of bindings) {
    feeds[name] = loadBinding(reader, binding, allocate === undefined ? undefined : (length) => allocate(name, length));
  }
  return feeds;
}

function loadBinding(reader: WeightReader, binding: Binding, allocate: Allocate | undefined): Feed {
  switch (binding.kind) {
    case 'weight':
      return checked(reader.weight(binding.ref, allocate), binding.ref.tensor);
    case 'vector': {
      const data = reader.vector(binding.ref);
      if (binding.offset === 1) for (let i = 0; i < data.length; i++) data[i]! += 1;
      return checked({ data, shape: binding.shape ?? [data.length] }, binding.ref.tensor);
    }
    case 'raw':
      return checked({ data: reader.raw(binding.tensor), shape: binding.shape }, binding.tensor);
  }
}

/** A NaN in one weight would silently poison every statistic behind it. The sum is NaN or ±Infinity if any value is. */
function checked(feed: Feed, tensor: string): Feed {
  const { data } = feed;
  let sum = 0;
  for (let i = 0; i < data.length; i++) sum += data[i]!;
  if (Number.isFinite(sum)) return feed;
  const at = data.findIndex((value) => !Number.isFinite(value));
  throw new InputError(`read tensor '${tensor}': wanted finite weights, got ${data[at]} at element ${at}`);
}

/** A Linear's weight [out, in]. */
export function readLinear(reader: WeightReader, linear: Linear, allocate?: Allocate): Float32Array {
  return reader.weight(linear.weight, allocate).data;
}
