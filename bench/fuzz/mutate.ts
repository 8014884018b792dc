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

/** What numbers in text are set to. */
const WRITTEN = ['-1', '0', '4294967296', '1e309', '99999999999999999999', '0x7fffffff', '1_000', '.5', 'null', "''"];

/** A word of one text over a word of another, or one more of it: what stays well-formed gets further. */
const replaceWord: Mutation = (bytes, random, other) => {
  const [from, to] = wordAt(bytes, random.below(bytes.length));
  const [start, end] = wordAt(other, random.below(other.length));
  const keep = random.below(3) === 0;
  return join(join(bytes.subarray(0, keep ? to : from), other.subarray(start, end)), bytes.subarray(to));
};

const writeNumber: Mutation = (bytes, random) => {
  const at = bytes.findIndex((byte, index) => index >= random.below(bytes.length) && byte >= 0x30 && byte <= 0x39);
  const [from, to] = wordAt(bytes, Math.max(at, 0));
  const written = new TextEncoder().encode(WRITTEN[random.below(WRITTEN.length)]);
  return join(join(bytes.subarray(0, from), written), bytes.subarray(to));
};

/** The run of letters and digits, or of signs and spaces, that holds a place. */
function wordAt(bytes: Uint8Array, at: number): [number, number] {
  const isWord = (index: number) => /[\w\x80-\xff]/u.test(String.fromCharCode(bytes[index] ?? 0));
  const kind = isWord(at);
  let [from, to] = [at, at];
  while (from > 0 && isWord(from - 1) === kind) from--;
  while (to < bytes.length && isWord(to) === kind) to++;
  return [from, to];
}

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

/** Of text: mostly by words. */
const TEXT_MUTATIONS: readonly Mutation[] = [
  replaceWord,
  replaceWord,
  replaceWord,
  replaceWord,
  writeNumber,
  setByte,
  truncate,
  remove,
  repeat,
  splice,
];

/**
 * A damaged copy: one to eight mutations; of binary files half of them in the last part, where footers lie.
 *
 * @param isText whether words are a better unit of damage than bytes
 */
export function mutate(original: Uint8Array, other: Uint8Array, random: Random, isText: boolean): Uint8Array {
  const mutations = isText ? TEXT_MUTATIONS : MUTATIONS;
  let bytes: Uint8Array = original.slice();
  const count = 1 + random.below(random.below(8) + 1);
  for (let done = 0; done < count && bytes.length > 0; done++) {
    const mutation = mutations[random.below(mutations.length)] ?? flipBit;
    const from = !isText && random.below(2) === 0 ? Math.max(bytes.length - 2000, 0) : 0;
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
