import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decompress } from 'fzstd';
import { expect, it } from 'vitest';
import { zstdOutput } from '../../src/data/storage/zstd-output.js';

const bytes = readFileSync(fileURLToPath(new URL('storage/lines.jsonl.zst', import.meta.url)));
const written = (output: Uint8Array) =>
  Object.defineProperty(output, 'toString', {
    value: () => {
      throw new Error('written out as numbers');
    },
  });

it('zstdOutput() is decompressed into without being written out as a string of numbers', () => {
  const wanted = decompress(bytes);
  expect(decompress(bytes, written(zstdOutput(wanted.length)))).toEqual(wanted);
  // If this no longer throws, fzstd has been mended, and the buffer may be a plain one.
  expect(() => decompress(bytes, written(new Uint8Array(wanted.length)))).toThrow('written out as numbers');
});
