import { createGunzip, constants } from 'node:zlib';
import { Readable } from 'node:stream';
import { Decompress } from 'fzstd';
import type { ByteSource } from '../byte-source.js';
import { asInputError } from '../row.js';
import { createZstdGuard } from './zstd-frames.js';

export type Compression = 'none' | 'gzip' | 'zstd';

/** Bytes asked of the source at once: large enough for a disk or a request, small in memory. */
const READ_BYTES = 1 << 20;

/** By the first bytes, whatever the name says: downloads often lose or gain an ending. */
export async function detectCompression(source: ByteSource): Promise<Compression> {
  const [a, b, c, d] = await source.slice(0, Math.min(4, source.byteLength));
  if (a === 0x1f && b === 0x8b) return 'gzip';
  return a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd ? 'zstd' : 'none';
}

/** The source's bytes in order, decompressed; memory holds a few pieces. */
export async function* streamBytes(source: ByteSource, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const compression = await detectCompression(source);
  const raw = readPieces(source, signal);
  try {
    if (compression === 'gzip') yield* gunzip(raw);
    else if (compression === 'zstd') yield* unzstd(raw);
    else yield* raw;
  } catch (error) {
    throw asInputError(source.name, error);
  }
}

async function* readPieces(source: ByteSource, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < source.byteLength; start += READ_BYTES) {
    signal?.throwIfAborted();
    yield await source.slice(start, Math.min(start + READ_BYTES, source.byteLength));
  }
}

async function* gunzip(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const decompressor = createGunzip({ finishFlush: constants.Z_FINISH, chunkSize: 256 << 10 });
  const input = Readable.from(raw, { objectMode: true });
  input.on('error', (error) => decompressor.destroy(error));
  try {
    yield* input.pipe(decompressor) as AsyncIterable<Uint8Array>;
  } finally {
    input.destroy();
    decompressor.destroy();
  }
}

/** fzstd, because zlib has zstd only from Node 22.15 on. */
async function* unzstd(raw: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let ready: Uint8Array[] = [];
  let ended = false;
  const decompressor = new Decompress((piece, final) => {
    if (piece.length > 0) ready.push(piece.slice());
    ended = final === true;
  });
  const guard = createZstdGuard();
  let previous: Uint8Array | null = null;
  for await (const piece of raw) {
    guard(piece);
    if (previous !== null) decompressor.push(previous);
    previous = piece;
    yield* ready;
    ready = [];
  }
  decompressor.push(previous ?? new Uint8Array(0), true);
  yield* ready;
  if (!ended) throw new Error('its zstd stream is cut off');
}
