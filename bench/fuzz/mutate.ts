import type { Random } from '../../src/data/sampling.js';

/** Numbers at which lengths and offsets go wrong. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const flipBit: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
  return bytes;
};

const setByte: Mutation = (bytes, random) => {
  bytes[random.below(bytes.length)] = random.below(256);
  return bytes;
};

const setNumber: Mutation = (bytes, random) => {
  if (bytes.length < 8) return bytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = random.below(bytes.length - 7);
  const value = EDGES[random.below(EDGES.length)] ?? 0;
  if (random.below(2) === 0) view.setUint32(at, value, true);
  else view.setBigUint64(at, BigInt(value) << BigInt(random.below(32)), true);
  return bytes;
};

/** A variable-length number of up to five bytes, as Parquet's headers and runs hold their lengths. */
const setVarint: Mutation = (bytes, random) => {
  const at = random.below(bytes.length);
  const length = 1 + random.below(5);
  for (let offset = 0; offset < length && at + offset < bytes.length; offset++) {
    bytes[at + offset] = offset === length - 1 ? random.below(128) : 0x80 | random.below(128);
  }
  return bytes;
};

const truncate: Mutation = (bytes, random) => bytes.slice(0, 1 + random.below(bytes.length));

const remove: Mutation = (bytes, random) => {
  const [from, to] = span(bytes.length, random);
  return join(bytes.subarray(0, from), bytes.subarray(to));
};

const repeat: Mutation = (bytes, random) => {
  const [from, to] = span(bytes.length, random);
  return join(bytes.subarray(0, to), bytes.subarray(from));
};

const splice: Mutation = (bytes, random, other) => {
  const [from, to] = span(Math.min(bytes.length, other.length), random);
  bytes.set(other.subarray(from, to), from);
  return bytes;
};

const zero: Mutation = (bytes, random) => {
  const [from, to] = span(bytes.length, random);
  return bytes.fill(random.below(2) * 255, from, to);
};

/** The small ones more often: a file that is wrong in one place gets further. */
const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  flipBit,
  setByte,
  setByte,
  setNumber,
  setNumber,
  setVarint,
  setVarint,
  truncate,
  remove,
  repeat,
  splice,
  zero,
];

/** A damaged copy: one to eight mutations, half of them in the last part of the file, where footers lie. */
export function mutate(original: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes: Uint8Array = original.slice();
  const count = 1 + random.below(random.below(8) + 1);
  for (let done = 0; done < count && bytes.length > 0; done++) {
    const mutation = MUTATIONS[random.below(MUTATIONS.length)] ?? flipBit;
    const from = random.below(2) === 0 ? Math.max(bytes.length - 2000, 0) : 0;
    const tail = mutation(bytes.slice(from), random, other);
    bytes = join(bytes.subarray(0, from), tail);
  }
  return bytes;
}

function join(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

function span(length: number, random: Random): [number, number] {
  const from = random.below(length);
  return [from, Math.min(from + 1 + random.below(Math.min(length, 512)), length)];
}
