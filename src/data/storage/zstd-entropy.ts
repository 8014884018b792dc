/** Finite state entropy of zstd (RFC 8878, 4.1), as far as a block's lengths need it. */

export function damaged(problem: string): Error {
  return new Error(`its zstd stream is damaged: ${problem}`);
}

export interface Probabilities {
  /** The probabilities add up to 2^log; −1 stands for less than one. */
  readonly log: number;
  readonly values: readonly number[];
  /** Where in `bytes` they end. */
  readonly end: number;
}

/** Signs, and how to go on from each of 2^log states. */
export interface Table {
  readonly log: number;
  readonly signs: Uint8Array;
  /** Bits to read, and what to add them to, for the next state. */
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/**
 * A table of probabilities as a block holds it (RFC 8878, 4.1.1).
 *
 * @throws Error when it does not add up, or has more states or signs than are allowed
 */
export function readProbabilities(bytes: Uint8Array, start: number, maxLog: number, maxSigns: number): Probabilities {
  let position = start * 8;
  const read = (count: number): number => {
    const at = position >> 3;
    const word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    return (word >> (position & 7)) & ((1 << count) - 1);
  };
  const log = read(4) + 5;
  position += 4;
  if (log > maxLog) throw damaged(`a table of 2^${log} states, at most 2^${maxLog} are allowed`);
  let left = 1 << log;
  const values: number[] = [];
  while (left > 0 && values.length < maxSigns) {
    // A value from 0 to left + 1; the smaller ones take a bit less.
    const bits = 31 - Math.clz32(left + 1);
    const small = (2 << bits) - 1 - (left + 1);
    let value = read(bits);
    if (value < small) position += bits;
    else {
      value = read(bits + 1);
      if (value >= 1 << bits) value -= small;
      position += bits + 1;
    }
    const probability = value - 1;
    values.push(probability);
    left -= Math.abs(probability);
    if (probability !== 0) continue;
    // Further signs of no probability, three at a time.
    for (let repeat = 3; repeat === 3 && values.length < maxSigns;) {
      repeat = read(2);
      position += 2;
      for (let i = 0; i < repeat; i++) values.push(0);
    }
  }
  const end = (position + 7) >> 3;
  if (left !== 0 || values.length > maxSigns || end > bytes.length)
    throw damaged('a table of probabilities does not add up');
  return { log, values, end };
}

/** Lays the signs out over the states as every decoder does. */
export function buildTable({ log, values }: Pick<Probabilities, 'log' | 'values'>): Table {
  const size = 1 << log;
  const table = { log, signs: new Uint8Array(size), bits: new Uint8Array(size), bases: new Uint16Array(size) };
  let high = size;
  for (const [sign, value] of values.entries()) if (value === -1) table.signs[--high] = sign;
  const step = (size >> 1) + (size >> 3) + 3;
  let position = 0;
  for (const [sign, value] of values.entries()) {
    for (let i = 0; i < value; i++) {
      table.signs[position] = sign;
      do position = (position + step) & (size - 1);
      while (position >= high);
    }
  }
  const next = values.map((value) => Math.abs(value));
  for (let state = 0; state < size; state++) {
    const sign = table.signs[state]!;
    const order = next[sign]!++;
    const bits = log - (31 - Math.clz32(order));
    table.bits[state] = bits;
    table.bases[state] = (order << bits) - size;
  }
  return table;
}

/** One sign in every state. */
export function certainTable(sign: number): Table {
  return { log: 0, signs: Uint8Array.of(sign), bits: new Uint8Array(1), bases: new Uint16Array(1) };
}
