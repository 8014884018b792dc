import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { decompress } from 'fzstd';
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
      const block = [2, 0, 1, 3, ...table, 1, 0];
      return Uint8Array.from([...MAGIC, 0x20, 100, (block.length << 3) | 5, 0, 0, ...block]);
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

  it('counts what blocks make to the byte', () => {
    const made = decompress(stream).length;
    createZstdGuard(made)(stream);
    expect(() => {
      createZstdGuard(made - 1)(stream);
    }).toThrow(`${made}`);
    // The same in frames that do not tell their length.
    const block = blockOf([1, CERTAIN_TABLES, 0, 0, 3], [0, 1]);
    createZstdGuard(3 + 6)(frameOf(block));
    expect(() => {
      createZstdGuard(3 + 5)(frameOf(block));
    }).toThrow('makes more than 8 bytes');
    expect(decompress(frameOf(block))).toHaveLength(9);
  });

  it('refuses sequences that copy more than a block may make, which fzstd would copy to nowhere', () => {
    // Match lengths of 65,539 and what 16 bits add.
    const sequences = (count: number) => blockOf([count, CERTAIN_TABLES, 0, 0, 52], [...times(count, [0, 0]), 1]);
    createZstdGuard()(frameOf(sequences(1)));
    expect(() => {
      createZstdGuard()(frameOf(sequences(2)));
    }).toThrow('a block makes more than 131072 bytes');
  });

  it.each([
    ['more literals than there are', blockOf([1, CERTAIN_TABLES, 9, 0, 0], [0, 1]), 'has 3 literals and takes more'],
    ['sequences that are cut off', blockOf([2, CERTAIN_TABLES, 0, 0, 52], [0, 0, 1]), 'its sequences are cut off'],
    ['sequences without an end', blockOf([1, CERTAIN_TABLES, 0, 0, 0], [0]), 'its sequences have no end'],
    ['a table of no block', blockOf([1, 0xfc], [1]), 'its first block repeats a table'],
    ['an unknown length', blockOf([1, CERTAIN_TABLES, 36], [1]), 'there is no length code 36'],
    ['too many states', blockOf([1, 0x80, 0x0f], [0, 0]), 'a table of 2^20 states'],
    ['probabilities that do not end', blockOf([1, 0x80, 0x00], []), 'does not add up'],
    ['literals beyond the block', [0xf8], 'a block is shorter than its literals'],
  ])('refuses %s', (_, block, message) => {
    expect(() => {
      createZstdGuard()(frameOf(block));
    }).toThrow(message);
  });

  it('knows the tables of the block before, of the same frame', () => {
    const [own, repeated] = [blockOf([1, CERTAIN_TABLES, 0, 0, 0], [1]), blockOf([1, 0xfc], [1])];
    expect(decompress(frameOf(own, repeated))).toHaveLength(12);
    createZstdGuard(12)(frameOf(own, repeated));
    expect(() => {
      createZstdGuard()(Uint8Array.from([...frameOf(own), ...frameOf(repeated)]));
    }).toThrow('its first block repeats a table');
  });
});

/** Each table holds one code alone. */
const CERTAIN_TABLES = 0b01010100;

/** A compressed block: literals 'abc' as they are, then sequences. */
function blockOf(head: readonly number[], bits: readonly number[]): number[] {
  return [3 << 3, ...Buffer.from('abc'), ...head, ...bits];
}

/** A frame of compressed blocks with a window of 1 MiB. */
function frameOf(...blocks: readonly (readonly number[])[]): Uint8Array {
  const bytes = blocks.flatMap((block, index) => {
    const header = (block.length << 3) | 4 | (index === blocks.length - 1 ? 1 : 0);
    return [header & 0xff, header >> 8, 0, ...block];
  });
  return Uint8Array.from([...MAGIC, 0, 10 << 3, ...bytes]);
}

function times(count: number, bytes: readonly number[]): number[] {
  return Array.from({ length: count }, () => bytes).flat();
}
