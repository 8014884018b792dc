import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import type { Compressors } from 'hyparquet';
import { decompress } from 'fzstd';
import { compressors } from 'hyparquet-compressors';
import { createZstdGuard } from './zstd-frames.js';
import { zstdOutput } from './zstd-output.js';

/** `maxOutputLength` must be positive; a page may be empty. */
const bounded = (length: number) => ({ maxOutputLength: Math.max(length, 1) });

/**
 * Decompressors of Parquet pages: Node's own where every supported version has them. They are faster, and keep to the
 * length that the page header promises, whatever the stream holds.
 */
export const CODECS: Compressors = {
  ...compressors,
  GZIP: (input, length) => gunzipSync(input, bounded(length)),
  BROTLI: (input, length) => brotliDecompressSync(input, bounded(length)),
  ZSTD: (input, length) => {
    createZstdGuard(length)(input);
    return decompress(input, zstdOutput(length));
  },
};
