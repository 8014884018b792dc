import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** The JSON text of one gzipped file of this folder, as `generate.py` wrote it. */
export function readOracle(name: string): string {
  return gunzipSync(readFileSync(join(import.meta.dirname, name))).toString('utf8');
}

/** Base64 → a copy of the bytes that starts at offset 0 of its buffer. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.from(base64, 'base64'));
}

export function floatsOf(base64: string): Float32Array<ArrayBuffer> {
  return new Float32Array(bytesOf(base64).buffer);
}
