import { describe, expect, it } from 'vitest';
import { checkRuns } from '../../src/data/storage/parquet-runs.js';

/** Little-endian base 128, as run headers are written. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return [...bytes, rest];
}

const repeated = (count: number, value: number) => [...varint(count * 2), value];
const packed = (groups: number, ...bytes: number[]) => [...varint(groups * 2 + 1), ...bytes];

describe('checkRuns()', () => {
  it.each([
    ['one run', repeated(10, 1), 1, 10],
    ['several runs', [...repeated(5, 0), ...packed(1, 0b10110101), ...repeated(1, 1)], 1, 14],
    ['a padded group', packed(1, 0xff), 1, 3],
    ['a padded block', packed(32, ...Array.from({ length: 32 }, () => 0)), 1, 112],
    ['no bits a value', repeated(1000, 0).slice(0, -1), 0, 1000],
    ['nothing', [], 3, 0],
  ])('takes %s', (_, bytes, width, values) => {
    expect(() => checkRuns(Uint8Array.from(bytes), width, values)).not.toThrow();
  });

  it.each([
    ['a run longer than the page', repeated(11, 1), 'claims 11 values of 10 left'],
    ['a run of two thousand million', repeated(2 ** 30, 1), 'claims 1073741824 values of 10 left'],
    ['packed values without end', packed(2 ** 27), 'claims 1073741824 values of 10 left'],
    ['a second run that is too long', [...repeated(9, 1), ...repeated(2, 1)], 'at byte 2 claims 2 values of 1 left'],
    ['a length without end', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], 'a run has no length'],
    ['a length cut off', [0x80], 'a run has no length'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => checkRuns(Uint8Array.from(bytes), 1, 10)).toThrow(message);
  });
});
