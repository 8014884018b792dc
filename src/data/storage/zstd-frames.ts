import { damaged } from './zstd-entropy.js';
import { checkLiterals } from './zstd-literals.js';
import { checkSequences, type Tables } from './zstd-sequences.js';

/** The window that zstd's own decoder allows unless told otherwise (2²⁷); a header may ask for terabytes. */
const MAX_WINDOW_BYTES = 128 << 20;

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

/** A frame header is no longer than this, its magic included. */
const MAX_HEADER_BYTES = 18;

const BLOCK_HEADER_BYTES = 3;

/** What a block makes at most, and takes (RFC 8878, 3.1.1.2.4); the window where that is smaller. */
const MAX_BLOCK_BYTES = 128 << 10;

/** Kinds of blocks. */
const REPEATED = 1;
const COMPRESSED = 2;

/**
 * Follows the frames of a zstd stream (RFC 8878, 3.1) without decoding them, and throws, before the decoder sees it, when
 * one asks for more memory than is given, or when a block holds what fzstd would decode for ever or to no end. Feed it every
 * piece, in order.
 *
 * @param most bytes that the whole stream may make
 */
export function createZstdGuard(most = Infinity): (piece: Uint8Array) => void {
  let pending: Uint8Array = new Uint8Array(0);
  let skip = 0;
  let inFrame = false;
  let checksum = false;
  let blockLimit = MAX_BLOCK_BYTES;
  let tables: Tables = {};
  let made = 0;
  return (piece) => {
    const bytes = new Uint8Array(pending.length + piece.length);
    bytes.set(pending);
    bytes.set(piece, pending.length);
    let at = 0;
    for (;;) {
      const step = Math.min(skip, bytes.length - at);
      at += step;
      skip -= step;
      if (skip > 0) break;
      if (inFrame) {
        const block = readBlock(bytes.subarray(at), tables, blockLimit);
        if (block === null) break;
        made += block.made;
        if (made > most) throw new Error(`its zstd stream makes more than ${most} bytes`);
        inFrame = !block.last;
        skip = block.length + (block.last && checksum ? 4 : 0);
        continue;
      }
      const header = readHeader(bytes.subarray(at, at + MAX_HEADER_BYTES));
      if (header === null) break;
      if (header.window > MAX_WINDOW_BYTES) {
        throw new Error(
          `its zstd frame asks for a window of ${header.window} bytes, at most ${MAX_WINDOW_BYTES} are given`,
        );
      }
      if (header.content > most)
        throw new Error(`its zstd frame claims ${header.content} bytes, at most ${most} are given`);
      skip = header.length;
      inFrame = header.blocks;
      checksum = header.checksum;
      blockLimit = Math.min(MAX_BLOCK_BYTES, header.window);
      tables = {};
    }
    pending = bytes.slice(at);
  };
}

interface Block {
  readonly length: number;
  readonly last: boolean;
  /** Bytes that it makes. */
  readonly made: number;
}

/** A block by its header and, where it is compressed, the whole of it; null when more bytes are needed. */
function readBlock(bytes: Uint8Array, tables: Tables, limit: number): Block | null {
  if (bytes.length < BLOCK_HEADER_BYTES) return null;
  const header = (bytes[0] ?? 0) | ((bytes[1] ?? 0) << 8) | ((bytes[2] ?? 0) << 16);
  const kind = (header >> 1) & 3;
  const size = header >>> 3;
  if (size > limit) throw damaged(`a block has ${size} bytes, at most ${limit} are allowed`);
  const last = (header & 1) === 1;
  if (kind !== COMPRESSED) return { length: BLOCK_HEADER_BYTES + (kind === REPEATED ? 1 : size), last, made: size };
  const end = BLOCK_HEADER_BYTES + size;
  if (bytes.length < end) return null;
  const block = bytes.subarray(BLOCK_HEADER_BYTES, end);
  const literals = checkLiterals(block);
  if (literals.count > limit) throw damaged(`a block has ${literals.count} literals, at most ${limit} are allowed`);
  const made = checkSequences(block.subarray(literals.end), tables, literals.count, limit);
  return { length: end, last, made };
}

interface FrameHeader {
  readonly length: number;
  /** Bytes that the decoder keeps. */
  readonly window: number;
  /** Bytes that it claims to make, which fzstd allocates; 0 where it does not say. */
  readonly content: number;
  /** Whether blocks follow; none in a skippable frame. */
  readonly blocks: boolean;
  readonly checksum: boolean;
}

/** null when more bytes are needed. */
function readHeader(bytes: Uint8Array): FrameHeader | null {
  if (bytes.length < 8) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const magic = view.getUint32(0, true);
  if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
    return { length: 8 + view.getUint32(4, true), window: 0, content: 0, blocks: false, checksum: false };
  }
  if (magic !== MAGIC) throw damaged('no frame where one should begin');
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const sizeAt = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  const length = sizeAt + sizeBytes;
  if (bytes.length < length) return null;
  let size = 0;
  for (let at = length - 1; at >= sizeAt; at--) size = size * 256 + (bytes[at] ?? 0);
  if (sizeBytes === 2) size += 256;
  const exponent = view.getUint8(5);
  const base = 2 ** (10 + (exponent >>> 3));
  return {
    length,
    window: single ? size : base + (base / 8) * (exponent & 7),
    content: size,
    blocks: true,
    checksum: (descriptor & 4) !== 0,
  };
}
