/** Most bytes of a whole number below 2^53 in LEB128. */
const LONGEST = 8;

/** Whole numbers 0 … 2^53−1 as LEB128: seven bits a byte, the low ones first. */
export function encodeVarints(values: Iterable<number> & { readonly length: number }): Uint8Array {
  const bytes = new Uint8Array(values.length * LONGEST);
  let at = 0;
  for (const value of values) {
    let rest = value;
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    bytes[at++] = rest;
  }
  return bytes.slice(0, at);
}

/** Reads exactly `count` numbers that fill `bytes` exactly; null when they do not. */
export function decodeVarints(bytes: Uint8Array, count: number): Float64Array | null {
  if (count > bytes.length) return null;
  const values = new Float64Array(count);
  let at = 0;
  for (let i = 0; i < count; i++) {
    let [value, factor, byte] = [0, 1, 0x80];
    for (let length = 0; byte >= 0x80; length++) {
      if (at === bytes.length || length === LONGEST) return null;
      byte = bytes[at++]!;
      value += (byte & 0x7f) * factor;
      factor *= 0x80;
    }
    values[i] = value;
  }
  return at === bytes.length ? values : null;
}
