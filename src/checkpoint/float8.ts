/** 8-bit float formats of the OCP specification (OFP8 1.0 and MX 1.0), as safetensors names them. */
export type Float8 = 'F8_E4M3' | 'F8_E5M2' | 'F8_E8M0';

const tables = new Map<Float8, Float32Array>();

/**
 * The value of each of the 256 codes. E4M3 is the finite variant (torch.float8_e4m3fn): no infinities, only 0x7f and
 * 0xff are NaN, largest 448. E8M0 is a power of two 2^(code − 127); 0xff is NaN.
 */
export function float8Table(dtype: Float8): Float32Array {
  let table = tables.get(dtype);
  if (table === undefined) {
    table = Float32Array.from({ length: 256 }, (_, code) => float8Value(dtype, code));
    tables.set(dtype, table);
  }
  return table;
}

function float8Value(dtype: Float8, code: number): number {
  if (dtype === 'F8_E8M0') return code === 255 ? Number.NaN : 2 ** (code - 127);
  const mantissaBits = dtype === 'F8_E4M3' ? 3 : 2;
  const bias = dtype === 'F8_E4M3' ? 7 : 15;
  const sign = code < 128 ? 1 : -1;
  const magnitude = code & 127;
  const exponent = magnitude >> mantissaBits;
  const mantissa = magnitude & ((1 << mantissaBits) - 1);
  if (dtype === 'F8_E4M3' && magnitude === 127) return Number.NaN;
  if (dtype === 'F8_E5M2' && exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  const fraction = mantissa / (1 << mantissaBits);
  return sign * (exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias));
}
