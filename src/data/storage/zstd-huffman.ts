import { damaged, readProbabilities } from './zstd-entropy.js';

/** Below this the tree's first byte is the length of its weights in finite state entropy; from it on they stand as they are. */
const DIRECT_WEIGHTS = 128;

/** RFC 8878, 4.2.1.2; a weight is at most 11, and what lies beyond zstd refuses. */
const MAX_LOG = 6;
const MAX_WEIGHTS = 13;

/**
 * Throws when the weights of a block's Huffman tree are coded so that one of them has the whole probability (RFC 8878,
 * 4.2.1.1). Such a code takes no bits, and fzstd 0.1.1 reads weights until the bits end: for ever. zstd itself refuses
 * them, as there are more weights than signs.
 */
export function checkHuffmanTree(tree: Uint8Array): void {
  const length = tree[0] ?? DIRECT_WEIGHTS;
  if (length >= DIRECT_WEIGHTS) return;
  const { log, values } = readProbabilities(tree.subarray(0, 1 + length), 1, MAX_LOG, MAX_WEIGHTS);
  if (values.includes(1 << log)) throw damaged('a Huffman tree has no end');
}
