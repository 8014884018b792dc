import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { assertFinite, type EncodedTensor } from '../../src/checkpoint/encode.js';
import { encodeHalf } from '../../src/checkpoint/half.js';
import { openCheckpoint, openSafetensors } from '../../src/checkpoint/open.js';
import type { Dtype } from '../../src/checkpoint/tensor-source.js';
import { InputError } from '../../src/errors.js';
import { readOracle } from './oracle/read.js';
import { rawSafetensors, safetensorsBytes } from './safetensors-bytes.js';

const CONFORMANCE = join(import.meta.dirname, '../conformance');
const MODELS = join(import.meta.dirname, '../models');
const root = mkdtempSync(join(tmpdir(), 'evenkeel-open-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'model-'));
  writeFileSync(join(folder, 'config.json'), '{}');
});

function tensor(name: string, dtype: Dtype, shape: number[], values: ArrayLike<number>): EncodedTensor {
  const floats = Float32Array.from(values);
  const stored = dtype === 'F32' ? floats : encodeHalf(floats, dtype === 'F16' ? 'F16' : 'BF16');
  return { name, dtype, shape, bytes: new Uint8Array(stored.buffer) };
}

/** An fp8 tensor of ones. */
function fp8(name: string, shape: number[]): EncodedTensor {
  return { name, shape, dtype: 'F8_E4M3', bytes: new Uint8Array(shape.reduce((a, b) => a * b)).fill(0x38) };
}

/** The header of a file with one tensor. */
function entry(offsets: unknown, dtype: unknown = 'F32', shape: unknown = [2]): string {
  return JSON.stringify({ x: { dtype, shape, data_offsets: offsets } });
}

function failure(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(InputError);
    return error instanceof Error ? error.message : '';
  }
  throw new Error('wanted an InputError, got none');
}

describe('reading by slice', () => {
  const values = Array.from({ length: 24 }, (_, i) => i - 12);

  test.each<Dtype>(['F32', 'BF16', 'F16'])('%s: whole, rows, one expert, rows of one expert', (dtype) => {
    writeFileSync(
      join(folder, 'model.safetensors'),
      safetensorsBytes([
        tensor('pad', 'BF16', [1], [7]),
        tensor('cube', dtype, [2, 3, 4], values),
        tensor('line', dtype, [24], values),
      ]),
    );
    const source = openCheckpoint(folder);
    expect(source.shape('cube')).toEqual([2, 3, 4]);
    expect([...source.read('cube')]).toEqual(values);
    expect([...source.read('cube', { rows: [1, 2] })]).toEqual(values.slice(12));
    expect([...source.read('cube', { index: 1 })]).toEqual(values.slice(12));
    expect([...source.read('cube', { index: 1, rows: [1, 3] })]).toEqual(values.slice(16));
    expect([...source.read('line', { rows: [5, 9] })]).toEqual(values.slice(5, 9));
    expect([...source.read('line', { index: 3 })]).toEqual([values[3]]);
    expect([...source.read('line', { rows: [4, 4] })]).toEqual([]);
    const target = new Float32Array(10).fill(99);
    expect(source.readInto('line', target, 2, { rows: [0, 5] })).toBe(5);
    expect([...target]).toEqual([99, 99, -12, -11, -10, -9, -8, 99, 99, 99]);
    expect(() => source.readInto('line', target)).toThrow(RangeError);
    source.close();
  });

  test('refuses slices that reach outside', () => {
    writeFileSync(
      join(folder, 'model.safetensors'),
      safetensorsBytes([tensor('x', 'F32', [2, 3], values.slice(0, 6))]),
    );
    const source = openCheckpoint(folder);
    expect(failure(() => source.read('x', { rows: [1, 3] }))).toBe(
      "read tensor 'x' of shape [2, 3]: wanted rows within [0, 2), got [1, 3)",
    );
    expect(failure(() => source.read('x', { index: 2 }))).toContain('wanted an index below 2, got 2');
    expect(failure(() => source.read('x', { rows: [0.5, 1] }))).toContain('wanted rows');
    expect(failure(() => source.read('y'))).toContain("read tensor 'y'");
    source.close();
  });

  test('widens integers and doubles', () => {
    const source: EncodedTensor[] = [
      { name: 'i64', dtype: 'I64', shape: [2], bytes: new Uint8Array(BigInt64Array.of(-3n, 1n << 40n).buffer) },
      { name: 'f64', dtype: 'F64', shape: [2], bytes: new Uint8Array(Float64Array.of(0.1, -1e300).buffer) },
      { name: 'u8', dtype: 'U8', shape: [2], bytes: Uint8Array.of(0, 255) },
      { name: 'i8', dtype: 'I8', shape: [2], bytes: Uint8Array.of(0x80, 0x7f) },
      { name: 'bool', dtype: 'BOOL', shape: [2], bytes: Uint8Array.of(1, 0) },
    ];
    writeFileSync(join(folder, 'x.safetensors'), safetensorsBytes(source));
    const file = openSafetensors(join(folder, 'x.safetensors'));
    const read = (name: string): number[] => [...file.read(name)];
    expect(read('i64')).toEqual([-3, 2 ** 40]);
    expect(read('f64')).toEqual([Math.fround(0.1), Number.NEGATIVE_INFINITY]);
    expect(read('u8')).toEqual([0, 255]);
    expect(read('i8')).toEqual([-128, 127]);
    expect(read('bool')).toEqual([1, 0]);
    file.close();
  });
});

describe('low precision', () => {
  const hashes: Record<string, Record<string, string>> = JSON.parse(readOracle('decoded.json.gz'));

  test.each(Object.keys(hashes))('%s decodes as torch and transformers do', (name) => {
    const source = openCheckpoint(join(CONFORMANCE, name));
    const decoded = [...source.tensors.values()].filter(({ encoding }) => encoding !== 'plain');
    expect(decoded.map((found) => found.name).sort()).toEqual(Object.keys(hashes[name]!).sort());
    for (const { name: tensorName, shape } of decoded) {
      const values = source.read(tensorName);
      expect(createHash('sha256').update(values).digest('hex')).toBe(hashes[name]![tensorName]);
      const [from, to] = [1, shape[0]! - 1];
      const stride = values.length / shape[0]!;
      expect(source.read(tensorName, { rows: [from, to] })).toEqual(values.subarray(from * stride, to * stride));
    }
    source.close();
  });

  test('mxfp4: rows of one expert equal the same rows of the whole', () => {
    const source = openCheckpoint(join(CONFORMANCE, 'gpt_oss_mxfp4'));
    const name = 'model.layers.0.mlp.experts.gate_up_proj';
    const [, rows, width] = source.shape(name);
    const whole = source.read(name);
    expect(source.read(name, { index: 3, rows: [5, 40] })).toEqual(
      whole.subarray((3 * rows! + 5) * width!, (3 * rows! + 40) * width!),
    );
    source.close();
  });

  test('fp8 with one scale per tensor and per row, 3-D with blocks, and none', () => {
    writeFileSync(
      join(folder, 'config.json'),
      '{"quantization_config": {"quant_method": "fp8", "weight_block_size": [2, 3]}}',
    );
    writeFileSync(
      join(folder, 'model.safetensors'),
      safetensorsBytes([
        tensor('a.weight_scale', 'F32', [], [3]),
        tensor('b.weight_scale', 'F32', [2, 1], [2, 5]),
        tensor('c_scale_inv', 'F32', [2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
        tensor('a.input_scale', 'F32', [], [9]),
        fp8('a.weight', [2, 2]),
        fp8('b.weight', [2, 2]),
        fp8('c', [2, 3, 4]),
      ]),
    );
    const source = openCheckpoint(folder);
    expect([...source.tensors.keys()].sort()).toEqual(['a.weight', 'b.weight', 'c']);
    expect([...source.read('a.weight')]).toEqual([3, 3, 3, 3]);
    expect([...source.read('b.weight')]).toEqual([2, 2, 5, 5]);
    expect([...source.read('c', { index: 1 })]).toEqual([5, 5, 5, 6, 5, 5, 5, 6, 7, 7, 7, 8]);
    source.close();
    writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes([fp8('a.weight', [2, 2])]));
    expect(failure(() => openCheckpoint(folder))).toContain(
      "wanted 'a.weight_scale_inv' or 'a.weight_scale' beside an fp8 weight",
    );
  });
});

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

describe('model folders', () => {
  const shards = [
    'model-00001-of-00003.safetensors',
    'model-00002-of-00003.safetensors',
    'model-00003-of-00003.safetensors',
  ];
  const polyglot = join(MODELS, 'polyglot-moe-18m');

  test('shards through the index: every tensor once, finite', () => {
    const source = openCheckpoint(polyglot);
    const index: { weight_map: object } = JSON.parse(
      readFileSync(join(polyglot, 'model.safetensors.index.json'), 'utf8'),
    );
    expect([...source.tensors.keys()].sort()).toEqual(Object.keys(index.weight_map).sort());
    expect(source.quantization).toBeNull();
    for (const name of source.tensors.keys()) expect(() => assertFinite(name, source.read(name))).not.toThrow();
    source.close();
  });

  test.each([
    ['a missing shard', (copy: string) => rmSync(join(copy, shards[1]!)), [shards[1], 'the file is missing']],
    [
      'a truncated shard',
      (copy: string) => truncateSync(join(copy, shards[2]!), 300),
      [shards[2], 'the file is truncated'],
    ],
    [
      'an index that names a tensor its shard lacks',
      edited('model.norm.weight', shards[0]!),
      ["lacks tensor 'model.norm.weight'", shards[0]],
    ],
    [
      'an index that climbs out',
      edited('model.norm.weight', '../x.safetensors'),
      ["'../x.safetensors'", 'inside the folder'],
    ],
    [
      'an index with an absolute path',
      edited('model.norm.weight', '/etc/passwd'),
      ["'/etc/passwd'", 'inside the folder'],
    ],
    ['an index with a drive', edited('model.norm.weight', 'C:\\x'), ['inside the folder']],
    ['an index entry that is no name', edited('model.norm.weight', 7), ["tensor 'model.norm.weight'", 'got a number']],
    [
      'an index without weight_map',
      (copy: string) => writeFileSync(join(copy, 'model.safetensors.index.json'), '{}'),
      ['weight_map'],
    ],
    [
      'an index cut short',
      (copy: string) => truncateSync(join(copy, 'model.safetensors.index.json'), 50),
      ['model.safetensors.index.json:1:51: parse JSON'],
    ],
    ['no config', (copy: string) => rmSync(join(copy, 'config.json')), ["'config.json'", 'missing']],
    [
      'a config with a typo',
      (copy: string) => writeFileSync(join(copy, 'config.json'), '{\n  "a": tru\n}'),
      ['config.json: parse JSON', 'not valid JSON'],
    ],
    [
      'a link out of the folder',
      (copy: string) => {
        rmSync(join(copy, shards[0]!));
        symlinkSync(join(polyglot, shards[0]!), join(copy, shards[0]!));
      },
      [shards[0], 'got a link to'],
    ],
  ])('%s', (_, damage, wanted) => {
    const copy = mkdtempSync(join(root, 'sharded-'));
    const weights = ['a', 'b', 'model.norm.weight'].map((name) => tensor(name, 'F32', [100], new Float32Array(100)));
    for (const [i, weight] of weights.entries()) writeFileSync(join(copy, shards[i]!), safetensorsBytes([weight]));
    const weightMap = Object.fromEntries(weights.map(({ name }, i) => [name, shards[i]]));
    writeFileSync(join(copy, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
    writeFileSync(join(copy, 'config.json'), '{}');
    openCheckpoint(copy).close();
    damage(copy);
    const message = failure(() => openCheckpoint(copy));
    for (const part of wanted) expect(message).toContain(part);
  });

  test('a snapshot of the Hub cache, whose files are links to blobs, is read', () => {
    const [blobs, snapshot] = [join(folder, 'blobs'), join(folder, 'snapshots', 'abc')];
    mkdirSync(blobs, { recursive: true });
    mkdirSync(snapshot, { recursive: true });
    writeFileSync(join(blobs, '1'), safetensorsBytes([tensor('x', 'F32', [1], [5])]));
    writeFileSync(join(blobs, '2'), '{}');
    symlinkSync('../../blobs/1', join(snapshot, 'model.safetensors'));
    symlinkSync('../../blobs/2', join(snapshot, 'config.json'));
    const source = openCheckpoint(snapshot);
    expect([...source.read('x')]).toEqual([5]);
    source.close();
  });

  test('a missing folder, and a folder without safetensors', () => {
    expect(failure(() => openCheckpoint(join(folder, 'nowhere')))).toContain('the folder is missing');
    expect(failure(() => openCheckpoint(folder))).toContain('wanted model.safetensors or model.safetensors.index.json');
  });

  test('a file that is replaced or cut after opening is noticed', () => {
    const path = join(folder, 'model.safetensors');
    writeFileSync(path, safetensorsBytes([tensor('x', 'F32', [2], [1, 2])]));
    const replaced = openCheckpoint(folder);
    writeFileSync(path, safetensorsBytes([tensor('x', 'F32', [3], [1, 2, 3])]));
    expect(failure(() => replaced.read('x'))).toContain('the file changed after it was opened');
    const cut = openCheckpoint(folder);
    expect([...cut.read('x')]).toEqual([1, 2, 3]);
    truncateSync(path, 100);
    expect(failure(() => cut.read('x'))).toContain('the file is truncated');
    cut.close();
  });

  test.each([
    ['{"quant_method": "gptq"}', 'wanted a quantization method among fp8, mxfp4, compressed-tensors, awq, got "gptq"'],
    ['{"quant_method": "awq", "version": "gemv"}', 'wanted AutoAWQ version "gemm" of 4 bits'],
    ['{"quant_method": "compressed-tensors", "format": "int-quantized"}', 'got "int-quantized"'],
    [
      '{"quant_method": "compressed-tensors", "config_groups": {"a": {"format": "nvfp4-pack-quantized"}}}',
      'got "nvfp4',
    ],
    ['[]', 'wanted quantization_config as an object, got an array'],
  ])('quantization that cannot be read is refused: %s', (settings, message) => {
    writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes([tensor('x', 'F32', [1], [5])]));
    writeFileSync(join(folder, 'config.json'), `{"quantization_config": ${settings}}`);
    expect(failure(() => openCheckpoint(folder))).toContain(message);
  });
});

/** Points one tensor of the index elsewhere. */
function edited(tensorName: string, file: string | number): (copy: string) => void {
  return (copy) => {
    const path = join(copy, 'model.safetensors.index.json');
    const index: { weight_map: Record<string, unknown> } = JSON.parse(readFileSync(path, 'utf8'));
    index.weight_map[tensorName] = file;
    writeFileSync(path, JSON.stringify(index));
  };
}
