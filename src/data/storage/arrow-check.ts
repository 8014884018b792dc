import type { Data } from 'apache-arrow';

/**
 * Checks that every offset and length of decoded Arrow data stays inside its buffers, so that reading a value cannot run
 * away with a length that a damaged file claims. Throws Error.
 */
export function checkData(data: Data): void {
  const { length, children, nullBitmap } = data;
  const bytes: ArrayLike<unknown> | undefined = data.values;
  if (nullBitmap !== null && nullBitmap !== undefined && nullBitmap.length > 0 && nullBitmap.length * 8 < length) {
    throw new Error('a column lacks part of its validity bits');
  }
  const offsets: ArrayLike<number | bigint> | undefined = data.valueOffsets;
  if (offsets !== undefined && offsets.length > 0) {
    const limit = children[0]?.length ?? bytes?.length ?? 0;
    checkOffsets(offsets, length, limit);
  } else if (children.length > 0) {
    for (const child of children) if (child.length < length) throw new Error('a struct has members of unequal lengths');
  } else if (length > 0 && bytes !== undefined) {
    // Booleans have eight values a byte; for bytes themselves this is merely lenient.
    const bits = bytes instanceof Uint8Array ? bytes.length * 8 : Math.floor(bytes.length / Math.max(data.stride, 1));
    if (bits < length) throw new Error(`a column of ${length} values has ${bits}`);
  }
  for (const child of children) checkData(child);
  for (const chunk of data.dictionary?.data ?? []) checkData(chunk);
}

function checkOffsets(offsets: ArrayLike<number | bigint>, length: number, limit: number): void {
  if (offsets.length < length + 1) throw new Error('a column lacks part of its offsets');
  let before = Number(offsets[0] ?? 0);
  for (let at = 1; at <= length; at++) {
    const offset = Number(offsets[at]);
    if (!(offset >= before)) throw new Error('offsets of a column run backwards');
    before = offset;
  }
  if (before > limit || Number(offsets[0] ?? 0) < 0) throw new Error(`offsets of a column reach ${before} of ${limit}`);
}
