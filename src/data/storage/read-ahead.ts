import type { ByteSource } from '../byte-source.js';

/** Bytes fetched at once: little at first, as one row may be all that is wanted, then twice as much every time. */
const FIRST_BYTES = 128 << 10;
const MAX_BYTES = 4 << 20;

/** Reads a stretch of a source forwards, in pieces larger than are asked for; what was passed over is not fetched. */
export interface ForwardReader {
  /** Bytes from `position` on: `length` of them, fewer at the end of the stretch. The bytes are only lent. */
  peek(position: number, length: number): Promise<Uint8Array>;
}

export function createForwardReader(source: ByteSource, end: number): ForwardReader {
  let held = new Uint8Array(0);
  let start = 0;
  let ahead = FIRST_BYTES;
  return {
    peek: async (position, length) => {
      const until = Math.min(position + length, end);
      if (position < start || until > start + held.length) {
        held = await source.slice(position, Math.min(Math.max(until, position + ahead), end));
        ahead = Math.min(ahead * 2, MAX_BYTES);
        start = position;
      }
      return held.subarray(position - start, Math.max(position, until) - start);
    },
  };
}
