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
