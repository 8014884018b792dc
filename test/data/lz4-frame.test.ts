import { describe, expect, it } from 'vitest';
import { decodeLz4Frame } from '../../src/data/storage/lz4-frame.js';

const LIMIT = 1 << 20;
/** Version 1, linked blocks of at most 64 kB, no checksums; then the checksum of the header, which nobody reads. */
const HEADER = [0x04, 0x22, 0x4d, 0x18, 0x40, 0x40, 0];
const END = [0, 0, 0, 0];
const word = (value: number) => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
const block = (...bytes: number[]) => [...word(bytes.length), ...bytes];
const stored = (...bytes: number[]) => [...word((0x8000_0000 | bytes.length) >>> 0), ...bytes];
const text = (value: string) => [...Buffer.from(value)];
const decode = (...parts: readonly number[][]) =>
  Buffer.from(decodeLz4Frame(Uint8Array.from([...HEADER, ...parts.flat()]), LIMIT)).toString();

describe('decodeLz4Frame()', () => {
  it('reads literals, matches that overlap themselves, and stored blocks', () => {
    // Two literals, then 4 + 15 + 5 from two back.
    expect(decode(block(0x2f, ...text('ab'), 2, 0, 5, 0x10, ...text('!')), END)).toBe(`${'ab'.repeat(13)}!`);
    expect(decode(stored(...text('as it is')), END)).toBe('as it is');
    // 15 + 255 + 30 literals.
    expect(decode(block(0xf0, 255, 30, ...text('x'.repeat(300))), END)).toBe('x'.repeat(300));
  });

  it('reaches back into blocks before', () => {
    expect(decode(stored(...text('earlier ')), block(0x00, 8, 0, 0x10, ...text('.')), END)).toBe('earlier earl.');
  });

  it('passes over sizes and checksums', () => {
    const header = [0x04, 0x22, 0x4d, 0x18, 0x58, 0x40, ...word(2), ...word(0), 0];
    const frame = [...header, ...stored(...text('ok')), 1, 2, 3, 4, ...END];
    expect(Buffer.from(decodeLz4Frame(Uint8Array.from(frame), LIMIT)).toString()).toBe('ok');
  });

  it.each<[string, number[][], string]>([
    ['no end', [stored(...text('a'))], 'cut off'],
    ['a block beyond its end', [word(100), text('a')], 'cut off'],
    ['a block larger than its kind', [word(0x7fff_ffff)], 'cut off'],
    ['a match before the beginning', [block(0x10, 97, 2, 0, 0), END], 'refers to what is not there'],
    ['a match of no distance', [block(0x10, 97, 0, 0, 0), END], 'refers to what is not there'],
    ['literals beyond its end', [block(0xf0, 255, 255, 1), END], 'too many literals'],
    ['a length without an end', [block(0xf0, 255, 255), END], 'cut off'],
  ])('refuses %s', (_, parts, message) => {
    expect(() => decode(...parts)).toThrow(message);
  });

  it('decodes no more than it is allowed to', () => {
    // A kilobyte of 255s claims a quarter of a megabyte.
    const bomb = block(0x1f, 97, 1, 0, ...Array.from({ length: 250 }, () => 255), 0, 0x10, 97);
    const frame = Uint8Array.from([...HEADER, ...Array.from({ length: 40 }, () => bomb).flat(), ...END]);
    expect(() => decodeLz4Frame(frame, LIMIT)).toThrow(/refers to|more than/u);
    expect(() => decodeLz4Frame(Uint8Array.of(1, 2, 3), LIMIT)).toThrow('has no header');
  });
});
