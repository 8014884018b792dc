import { damaged } from './zstd-entropy.js';
import { checkHuffmanTree } from './zstd-huffman.js';

/** Kinds of literals; the fourth has the tree of an earlier block. */
const [RAW, REPEATED, WITH_TREE] = [0, 1, 2];

/** Literals of a compressed block (RFC 8878, 3.1.1.3.1): how many there are, and where their section ends. */
export function checkLiterals(block: Uint8Array): { readonly count: number; readonly end: number } {
  const first = block[0] ?? 0;
  const kind = first & 3;
  const format = (first >> 2) & 3;
  const result = kind === RAW || kind === REPEATED ? plain(block, kind, format) : compressed(block, kind, format);
  if (result.end > block.length) throw damaged('a block is shorter than its literals');
  return result;
}

function plain(block: Uint8Array, kind: number, format: number): { count: number; end: number } {
  const header = [1, 2, 1, 3][format]!;
  const count = littleEndian(block, header) >>> (header === 1 ? 3 : 4);
  return { count, end: header + (kind === RAW ? count : 1) };
}

/** The header: 4 bits, then the two sizes in equal parts. */
function compressed(block: Uint8Array, kind: number, format: number): { count: number; end: number } {
  const header = [3, 3, 4, 5][format]!;
  const sizeBits = (header * 8 - 4) / 2;
  const sizes = Math.floor(littleEndian(block, header) / 16);
  const count = sizes % 2 ** sizeBits;
  const end = header + Math.floor(sizes / 2 ** sizeBits);
  if (kind === WITH_TREE) checkHuffmanTree(block.subarray(header, end));
  return { count, end };
}

function littleEndian(bytes: Uint8Array, length: number): number {
  let value = 0;
  for (let at = length - 1; at >= 0; at--) value = value * 256 + (bytes[at] ?? 0);
  return value;
}
