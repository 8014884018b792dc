import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { assertFinite } from '../../src/checkpoint/encode.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { failure, tensor } from './fixtures.js';
import { safetensorsBytes } from './safetensors-bytes.js';

const MODELS = join(import.meta.dirname, '../models');
const root = mkdtempSync(join(tmpdir(), 'evenkeel-folder-'));
afterAll(() => rmSync(root, { recursive: true }));

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, 'model-'));
  writeFileSync(join(folder, 'config.json'), '{}');
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
