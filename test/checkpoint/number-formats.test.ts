import { describe, expect, test } from 'vitest';
import { assertFinite, encodeTensor } from '../../src/checkpoint/encode.js';
import { float8Table } from '../../src/checkpoint/float8.js';
import { decodeHalf, encodeHalf, roundToHalf, type Half } from '../../src/checkpoint/half.js';
import { FP4_VALUES } from '../../src/checkpoint/mxfp4.js';
import { bytesOf, floatsOf, readOracle } from './oracle/read.js';

const oracle: Record<string, string> = JSON.parse(readOracle('numbers.json.gz'));
const ALL_HALVES = Uint16Array.from({ length: 65536 }, (_, code) => code);

describe.each<Half>(['BF16', 'F16'])('%s', (format) => {
  test('decodeHalf() then encodeHalf() is the identity on all 65,536 values, NaN made quiet', () => {
    const values = decodeHalf(ALL_HALVES, format);
    const quiet = format === 'BF16' ? 0x40 : 0x200;
    const expected = ALL_HALVES.map((half, i) => (Number.isNaN(values[i]) ? half | quiet : half));
    expect(encodeHalf(values, format)).toEqual(expected);
  });

  test('encodeHalf() rounds the midpoint of neighbours to even, and what lies beside it to the nearer', () => {
    const infinity = format === 'BF16' ? 0x7f80 : 0x7c00;
    const values = Array.from(decodeHalf(ALL_HALVES, format));
    // Beyond the largest finite value the next power of two counts, not infinity.
    values[infinity] = format === 'BF16' ? 2 ** 128 : 65536;
    for (let low = 0; low < infinity; low++) {
      const middle = (values[low]! + values[low + 1]!) / 2;
      const bits = new Uint32Array(Float32Array.of(middle).buffer)[0]!;
      const beside = new Float32Array(Uint32Array.of(bits - 1, bits, bits + 1, bits | 0x80000000).buffer);
      const even = (low & 1) === 0 ? low : low + 1;
      expect([...encodeHalf(beside, format)]).toEqual([low, even, low + 1, even | 0x8000]);
    }
  });

  test('encodeHalf() agrees with torch on random bit patterns and magnitudes', () => {
    const values = floatsOf(oracle['values']!);
    const wanted = new Uint16Array(bytesOf(oracle[format]!).buffer);
    const got = encodeHalf(values, format);
    const differing = values.filter((value, i) => !Number.isNaN(value) && got[i] !== wanted[i]);
    expect([...differing]).toEqual([]);
    for (const [i, value] of values.entries()) {
      if (Number.isNaN(value)) expect(decodeHalf(got.subarray(i, i + 1), format)[0]).toBeNaN();
    }
  });

  test('roundToHalf() equals encoding and decoding', () => {
    const values = floatsOf(oracle['values']!);
    const wanted = decodeHalf(encodeHalf(values, format), format);
    expect(roundToHalf(values, format)).toEqual(wanted);
  });
});

test.each(['F8_E4M3', 'F8_E5M2', 'F8_E8M0'] as const)('float8Table() equals torch on all 256 codes of %s', (dtype) => {
  expect([...float8Table(dtype)]).toEqual([...floatsOf(oracle[dtype]!)]);
});

test('FP4_VALUES are the sixteen E2M1 codes: 1 sign, 2 exponent bits of bias 1, 1 mantissa bit', () => {
  for (const [code, value] of FP4_VALUES.entries()) {
    const [sign, exponent, mantissa] = [code & 8 ? -1 : 1, (code >> 1) & 3, code & 1];
    expect(value).toBe(sign * (exponent === 0 ? mantissa / 2 : (1 + mantissa / 2) * 2 ** (exponent - 1)));
  }
});

describe('encodeTensor()', () => {
  test('refuses values that overflow the dtype', () => {
    expect(() => encodeTensor('x', 'F16', [2], Float32Array.of(1, 65520))).toThrow(
      "'x': 65520 at element 1 does not fit F16",
    );
    expect(encodeTensor('x', 'F16', [1], Float32Array.of(65519)).bytes).toEqual(Uint8Array.of(0xff, 0x7b));
  });

  test('assertFinite() names the first offender and counts them all', () => {
    const values = Float32Array.of(0, Number.NaN, 1, Number.NEGATIVE_INFINITY);
    expect(() => assertFinite("read 'w'", values)).toThrow(
      "read 'w': wanted finite numbers, got 2 of 4 that are not, first NaN at element 1",
    );
    expect(() => assertFinite("read 'w'", Float32Array.of(3.4e38, -1e-45))).not.toThrow();
  });
});
