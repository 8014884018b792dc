/**
 * A buffer for fzstd to decompress into. fzstd 0.1.1 asks `buffer == 1` of it, which makes JavaScript write all of the bytes out
 * as a string of numbers, twice per frame: half of the time that a page takes. With a number to be compared by it does not.
 *
 * @param length bytes
 */
export function zstdOutput(length: number): Uint8Array {
  return Object.defineProperty(new Uint8Array(length), Symbol.toPrimitive, { value: () => Number.NaN });
}
