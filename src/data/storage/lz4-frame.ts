const MAGIC = 0x184d2204;

/** Sizes of blocks by the frame's own code, 4 to 7. */
const BLOCK_BYTES: readonly number[] = [0, 0, 0, 0, 64 << 10, 256 << 10, 1 << 20, 4 << 20];

/** Matches are at least so long; their length is told less this. */
const LEAST_MATCH = 4;

/**
 * Decodes an LZ4 frame (lz4_Frame_format.md, lz4_Block_format.md): what Arrow's writers compress buffers with unless told
 * otherwise. Checksums are passed over, as Arrow's own readers do.
 *
 * @param limit the most bytes that are decoded
 * @throws Error when the frame is damaged, or larger
 */
export function decodeLz4Frame(bytes: Uint8Array, limit: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 7 || view.getUint32(0, true) !== MAGIC) throw new Error('its LZ4 frame has no header');
  const flags = view.getUint8(4);
  const [hasDictionary, hasSize, hasBlockChecksums] = [flags & 0x01, flags & 0x08, flags & 0x10];
  const blockBytes = BLOCK_BYTES[(view.getUint8(5) >> 4) & 7] ?? 0;
  if (flags >> 6 !== 1 || hasDictionary !== 0 || blockBytes === 0) throw new Error('its LZ4 frame is of no known kind');
  let at = 6 + (hasSize === 0 ? 0 : 8) + 1;
  let output = new Uint8Array(Math.min(blockBytes, limit));
  let length = 0;
  for (;;) {
    if (at + 4 > bytes.length) throw new Error('its LZ4 frame is cut off');
    const word = view.getUint32(at, true);
    at += 4;
    if (word === 0) return output.slice(0, length);
    const size = word & 0x7fff_ffff;
    if (size > blockBytes || at + size > bytes.length) throw new Error('its LZ4 frame is cut off');
    if (length + blockBytes > output.length) {
      const larger = new Uint8Array(Math.min(2 * (length + blockBytes), limit));
      larger.set(output.subarray(0, length));
      output = larger;
    }
    const end = Math.min(length + blockBytes, output.length);
    const block = bytes.subarray(at, at + size);
    if (word >= 0x8000_0000) {
      if (length + size > end) throw new Error(`its LZ4 frame holds more than ${limit} bytes`);
      output.set(block, length);
      length += size;
    } else {
      length = decodeBlock(block, output, length, end);
    }
    at += size + (hasBlockChecksums === 0 ? 0 : 4);
  }
}

/** Appends a block to what is decoded already, which its matches may reach back into; returns the new length. */
function decodeBlock(block: Uint8Array, output: Uint8Array, from: number, end: number): number {
  let at = 0;
  let length = from;
  const extended = (nibble: number): number => {
    let total = nibble;
    if (nibble < 15) return total;
    for (;;) {
      const byte = block[at++];
      if (byte === undefined) throw new Error('an LZ4 block is cut off');
      total += byte;
      if (byte < 255) return total;
    }
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = extended(token >> 4);
    if (at + literals > block.length || length + literals > end)
      throw new Error('an LZ4 block claims too many literals');
    output.set(block.subarray(at, at + literals), length);
    at += literals;
    length += literals;
    // The last sequence has no match.
    if (at === block.length) return length;
    const offset = (block[at] ?? 0) | ((block[at + 1] ?? 0) << 8);
    at += 2;
    const match = extended(token & 15) + LEAST_MATCH;
    if (at > block.length || offset === 0 || offset > length || length + match > end)
      throw new Error('an LZ4 block refers to what is not there');
    if (offset >= match) output.copyWithin(length, length - offset, length - offset + match);
    // A match may overlap itself: that is how a run is written.
    else for (let copied = 0; copied < match; copied++) output[length + copied] = output[length + copied - offset] ?? 0;
    length += match;
  }
  return length;
}
