/** The window that zstd's own decoder allows unless told otherwise (2²⁷); a header may ask for terabytes. */
const MAX_WINDOW_BYTES = 128 << 20;

const MAGIC = 0xfd2fb528;
const SKIPPABLE = 0x184d2a50;

/** A frame header is no longer than this, its magic included. */
const MAX_HEADER_BYTES = 18;

/**
 * Follows the frames of a zstd stream (RFC 8878, 3.1) without decoding them, and throws when one asks for more memory than
 * is given, before the decoder sees it. Feed it every piece, in order.
 */
export function createZstdGuard(): (piece: Uint8Array) => void {
  let pending: Uint8Array = new Uint8Array(0);
  let skip = 0;
  let inFrame = false;
  let checksum = false;
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
        if (bytes.length - at < 3) break;
        const header = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16);
        // Last block, then its type (1 repeats one byte), then its size.
        inFrame = (header & 1) === 0;
        skip = 3 + (((header >> 1) & 3) === 1 ? 1 : header >>> 3) + (!inFrame && checksum ? 4 : 0);
        continue;
      }
      const header = readHeader(bytes.subarray(at, at + MAX_HEADER_BYTES));
      if (header === null) break;
      if (header.window > MAX_WINDOW_BYTES) {
        throw new Error(
          `its zstd frame asks for a window of ${header.window} bytes, at most ${MAX_WINDOW_BYTES} are given`,
        );
      }
      skip = header.length;
      inFrame = header.blocks;
      checksum = header.checksum;
    }
    pending = bytes.slice(at);
  };
}

interface FrameHeader {
  readonly length: number;
  /** Bytes that the decoder keeps. */
  readonly window: number;
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
    return { length: 8 + view.getUint32(4, true), window: 0, blocks: false, checksum: false };
  }
  if (magic !== MAGIC) throw new Error('its zstd stream is damaged: no frame where one should begin');
  const descriptor = view.getUint8(4);
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = [single ? 1 : 0, 2, 4, 8][descriptor >>> 6] ?? 0;
  const sizeAt = 5 + (single ? 0 : 1) + ([0, 1, 2, 4][descriptor & 3] ?? 0);
  const length = sizeAt + sizeBytes;
  if (bytes.length < length) return null;
  let size = 0;
  for (let at = length - 1; at >= sizeAt; at--) size = size * 256 + (bytes[at] ?? 0);
  const exponent = view.getUint8(5);
  const base = 2 ** (10 + (exponent >>> 3));
  return {
    length,
    window: single ? size : base + (base / 8) * (exponent & 7),
    blocks: true,
    checksum: (descriptor & 4) !== 0,
  };
}
