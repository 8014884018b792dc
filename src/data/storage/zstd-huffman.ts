/** A compressed block's first bytes, up to the end of its Huffman tree: a header of five, a length, and less than 128. */
export const TREE_BYTES = 5 + 1 + 128;

/** Literals with a Huffman tree of their own. */
const COMPRESSED_LITERALS = 2;

/** Bytes of the literals' header, by its format. */
const HEADER_BYTES: readonly number[] = [3, 3, 4, 5];

/** Below this the tree's first byte is the length of its weights in finite state entropy; from it on they stand as they are. */
const DIRECT_WEIGHTS = 128;

/**
 * Throws when the weights of a block's Huffman tree are coded so that one of them has the whole probability (RFC 8878,
 * 4.2.1.1). Such a code takes no bits, and fzstd 0.1.1 reads weights until the bits end: for ever. zstd itself refuses
 * them, as there are more weights than signs.
 *
 * @param block the block's first TREE_BYTES, fewer where it is shorter
 */
export function checkHuffmanTree(block: Uint8Array): void {
  const first = block[0] ?? 0;
  if ((first & 3) !== COMPRESSED_LITERALS) return;
  const at = HEADER_BYTES[(first >> 2) & 3] ?? 0;
  if ((block[at] ?? DIRECT_WEIGHTS) >= DIRECT_WEIGHTS) return;
  if (hasCertainWeight(block.subarray(at + 1)))
    throw new Error('its zstd stream is damaged: a Huffman tree has no end');
}

/** Reads a table of probabilities (RFC 8878, 4.1.1) as far as it takes to see whether one is the whole. */
function hasCertainWeight(bytes: Uint8Array): boolean {
  let position = 4;
  const read = (count: number): number => {
    const at = position >> 3;
    const word = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
    return (word >> (position & 7)) & ((1 << count) - 1);
  };
  const whole = 1 << (((bytes[0] ?? 0) & 15) + 5);
  let left = whole;
  while (left > 0 && position < bytes.length * 8) {
    // A value from 0 to left + 1; the smaller ones of it take a bit less.
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
    if (probability === whole) return true;
    left -= Math.abs(probability);
    if (probability !== 0) continue;
    // Further weights of no probability, three at a time.
    for (let repeat = 3; repeat === 3 && position < bytes.length * 8;) {
      repeat = read(2);
      position += 2;
    }
  }
  return false;
}
