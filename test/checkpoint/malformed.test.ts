import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { failure, tensor } from './fixtures.js';
import { rawSafetensors, safetensorsBytes } from './safetensors-bytes.js';

const root = mkdtempSync(join(tmpdir(), 'evenkeel-malformed-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'model-'));
  writeFileSync(join(folder, 'config.json'), '{}');
});

/** The header of a file with one tensor. */
function entry(offsets: unknown, dtype: unknown = 'F32', shape: unknown = [2]): string {
  return JSON.stringify({ x: { dtype, shape, data_offsets: offsets } });
}

describe('a malformed file is refused by name', () => {
  const x = tensor('x', 'F32', [2], [1, 2]);
  const eight = new Uint8Array(8);
  const cases: [string, Buffer, string][] = [
    ['empty', Buffer.alloc(0), 'wanted at least 8 bytes, got 0'],
    ['not safetensors', Buffer.from('<!DOCTYPE html><html>'), 'wanted a header of at most 100000000 bytes'],
    ['header cut short', safetensorsBytes([x]).subarray(0, 20), 'the file is truncated'],
    [
      'data cut short',
      safetensorsBytes([x]).subarray(0, -1),
      'the file is truncated: wanted 8 bytes of tensor data, got 7',
    ],
    ['data too long', Buffer.concat([safetensorsBytes([x]), eight]), 'wanted 8 bytes of tensor data, got 8 more'],
    ['not JSON', rawSafetensors('{"x": ', eight), 'parse JSON'],
    ['not an object', rawSafetensors('[]'), "wanted '{' first"],
    [
      'not UTF-8',
      Buffer.concat([rawSafetensors('{"\u00e9":1}').subarray(0, 10), Buffer.from([0xff]), Buffer.alloc(6)]),
      'wanted UTF-8',
    ],
    ['too deep', rawSafetensors(`{"x":${'['.repeat(1000)}`), 'nested deeper than 3 levels'],
    ['metadata of numbers', rawSafetensors('{"__metadata__":{"a":1}}'), 'wanted __metadata__ as an object of strings'],
    ['entry not an object', rawSafetensors('{"x":1}'), "read tensor 'x'"],
    ['unknown dtype', rawSafetensors(entry([0, 8], 'F33'), eight), 'wanted a dtype among'],
    ['dtype from the prototype', rawSafetensors(entry([0, 8], 'toString'), eight), 'wanted a dtype among'],
    ['negative dimension', rawSafetensors(entry([0, 8], 'F32', [-2]), eight), 'wanted a shape'],
    ['fractional dimension', rawSafetensors(entry([0, 8], 'F32', [0.5, 4]), eight), 'wanted a shape'],
    ['too large', rawSafetensors(entry([0, 8], 'F32', [2 ** 40, 2 ** 40]), eight), 'is too large'],
    ['size against dtype', rawSafetensors(entry([0, 4]), eight.subarray(4)), 'want 8 bytes, got 4'],
    ['offsets reversed', rawSafetensors(entry([8, 0]), eight), 'want 8 bytes, got -8'],
    ['offsets missing', rawSafetensors('{"x":{"dtype":"F32","shape":[2]}}', eight), 'wanted data_offsets'],
    ['gap', rawSafetensors(entry([8, 16]), eight, eight), 'leaves a gap before it: wanted it at byte 0, got 8'],
    [
      'overlap',
      rawSafetensors(
        '{"x":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"y":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}',
        eight,
      ),
      "read tensor 'y'",
    ],
    [
      'odd number of 4-bit elements',
      rawSafetensors(entry([0, 1], 'F4', [3]), eight.subarray(7)),
      'want 1.5 bytes, got 1',
    ],
  ];

  test.each(cases)('%s', (_, bytes, message) => {
    const path = join(folder, 'model.safetensors');
    writeFileSync(path, bytes);
    const got = failure(() => openCheckpoint(folder));
    expect(got).toContain(message);
    expect(got).toContain(path);
  });

  test('zero-sized tensors and padded headers are fine', () => {
    const header =
      '{"e":{"dtype":"F32","shape":[0,4],"data_offsets":[0,0]},"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}   ';
    writeFileSync(join(folder, 'model.safetensors'), rawSafetensors(header, x.bytes));
    const source = openCheckpoint(folder);
    expect([...source.read('e')]).toEqual([]);
    expect([...source.read('x')]).toEqual([1, 2]);
    source.close();
  });
});
