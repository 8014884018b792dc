import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { createZstdGuard } from '../../src/data/storage/zstd-frames.js';

const stream = new Uint8Array(readFileSync(fileURLToPath(new URL('storage/lines.jsonl.zst', import.meta.url))));
const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];

describe('createZstdGuard()', () => {
  it.each([1, 2, 7, 100, 1 << 20])('follows frames in pieces of %i bytes', (size) => {
    const guard = createZstdGuard();
    const skippable = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9);
    const whole = Uint8Array.from([...stream, ...skippable, ...stream]);
    for (let at = 0; at < whole.length; at += size) guard(whole.subarray(at, at + size));
    // The next thing must be a frame.
    expect(() => {
      guard(new Uint8Array(8));
    }).toThrow('no frame where one should begin');
  });

  it.each([
    ['window', [...MAGIC, 0x00, 0xff, 0, 0], 'a window of 4123168604160 bytes'],
    ['single segment', [...MAGIC, 0xa0, 0xff, 0xff, 0xff, 0x7f], 'a window of 2147483647 bytes'],
  ])('refuses a %s beyond the limit, in a later frame too', (_, header, message) => {
    expect(() => {
      createZstdGuard()(Uint8Array.from([...header, 0, 0]));
    }).toThrow(message);
    expect(() => {
      createZstdGuard()(Uint8Array.from([...stream, ...header, 0, 0]));
    }).toThrow(message);
  });

  it('refuses weights of a Huffman tree that take no bits, which fzstd would read for ever', () => {
    const frame = (table: readonly number[]) => {
      // Literals with a tree of their own; its weights in finite state entropy, of three bytes.
      const block = [2, 0, 0, 3, ...table, 1, 0, 0];
      return Uint8Array.from([...MAGIC, 0x20, 1, (block.length << 3) | 5, 0, 0, ...block]);
    };
    // Accuracy 5, and one weight with all of 32.
    const endless = frame([0xf0, 0x03]);
    for (const size of [1, 3, 100]) {
      const guard = createZstdGuard();
      const feed = () => {
        for (let at = 0; at < endless.length; at += size) guard(endless.subarray(at, at + size));
      };
      expect(feed).toThrow('a Huffman tree has no end');
    }
    expect(() => {
      createZstdGuard()(frame([0xe0, 0x03]));
    }).not.toThrow();
  });
});
