import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import type { EncodedTensor } from '../../src/checkpoint/encode.js';
import { openCheckpoint, openSafetensors } from '../../src/checkpoint/open.js';
import type { Dtype } from '../../src/checkpoint/tensor-source.js';
import { failure, fp8, tensor } from './fixtures.js';
import { readOracle } from './oracle/read.js';
import { safetensorsBytes } from './safetensors-bytes.js';

const CONFORMANCE = join(import.meta.dirname, '../conformance');
const root = mkdtempSync(join(tmpdir(), 'evenkeel-reading-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'model-'));
  writeFileSync(join(folder, 'config.json'), '{}');
});

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
