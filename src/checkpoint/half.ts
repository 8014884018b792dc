/**
 * 16-bit floats. bf16 is the upper half of an f32; f16 is IEEE 754 binary16. Widening is exact; narrowing rounds to
 * nearest, ties to even, as hardware and torch do.
 */

let halfBits: Uint32Array | undefined;

/** f32 bit patterns of all 65,536 f16 values, NaN payloads kept. */
export function f16Table(): Uint32Array {
  if (halfBits !== undefined) return halfBits;
  halfBits = new Uint32Array(65536);
  const value = new Float32Array(halfBits.buffer);
  for (let h = 0; h < 65536; h++) {
    const exponent = (h >>> 10) & 31;
    const mantissa = h & 1023;
    const sign = (h & 0x8000) << 16;
    if (exponent === 0) value[h] = (sign === 0 ? 1 : -1) * mantissa * 2 ** -24;
    else if (exponent === 31) halfBits[h] = sign | 0x7f800000 | (mantissa << 13);
    else halfBits[h] = sign | ((exponent + 112) << 23) | (mantissa << 13);
  }
  return halfBits;
}

/** The 16-bit float formats that weights and scales are written in. */
export type Half = 'BF16' | 'F16';

/** f32 → 16-bit patterns, to nearest, ties to even; overflow becomes infinity, NaN stays NaN with its sign. */
export function encodeHalf(values: Float32Array, format: Half): Uint16Array<ArrayBuffer> {
  const bits = bitsOf(values);
  const halves = new Uint16Array(values.length);
  // Two loops rather than a chosen function: a call through a variable costs ten times the rounding.
  if (format === 'BF16') for (let i = 0; i < bits.length; i++) halves[i] = bf16Bits(bits[i]!);
  else for (let i = 0; i < bits.length; i++) halves[i] = f16Bits(bits[i]!);
  return halves;
}

/** 16-bit patterns → f32, exact. */
export function decodeHalf(halves: Uint16Array, format: Half): Float32Array<ArrayBuffer> {
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  const table = f16Table();
  for (let i = 0; i < halves.length; i++) bits[i] = format === 'BF16' ? halves[i]! << 16 : table[halves[i]!]!;
  return values;
}

/** Rounds every value to the nearest one that the format holds, in place; returns the same array. */
export function roundToHalf<T extends Float32Array>(values: T, format: Half): T {
  const bits = bitsOf(values);
  if (format === 'BF16') {
    for (let i = 0; i < bits.length; i++) bits[i] = bf16Bits(bits[i]!) << 16;
  } else {
    const table = f16Table();
    for (let i = 0; i < bits.length; i++) bits[i] = table[f16Bits(bits[i]!)]!;
  }
  return values;
}

/** Signed, because V8 computes with 32-bit integers only where it can see that they are signed. */
function bitsOf(values: Float32Array): Int32Array {
  return new Int32Array(values.buffer, values.byteOffset, values.length);
}

function bf16Bits(bits: number): number {
  // Adding to a NaN's payload could carry it into infinity: set the quiet bit instead.
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | 0x40;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) | 0) >>> 16;
}

const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);
const HALF_BITS = 0x3f000000;

function f16Bits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff);
  // 65,520 is halfway between the largest f16 and the next power of two.
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rebased = magnitude - 0x38000000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  }
  // Subnormals are multiples of 2^-24, which is the spacing of f32 just above 0.5: let that addition round.
  scratchBits[0] = magnitude;
  scratch[0] = scratch[0]! + 0.5;
  return sign | (scratchBits[0] - HALF_BITS);
}
