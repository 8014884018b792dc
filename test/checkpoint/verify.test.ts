import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autoawq } from '../../src/checkpoint/autoawq.js';
import type { EncodedTensor } from '../../src/checkpoint/encode.js';
import { openCheckpoint, openSafetensors } from '../../src/checkpoint/open.js';
import type { Finding } from '../../src/checkpoint/verify/finding.js';
import type { Correspondence } from '../../src/checkpoint/verify/tensors.js';
import { collectFindings, verifyCheckpoint } from '../../src/checkpoint/verify/verify.js';
import { writeRoundToNearest, type WriteSettings } from './round-to-nearest.js';
import { safetensorsBytes } from './safetensors-bytes.js';

const CONFORMANCE = join(import.meta.dirname, '../conformance');
const root = mkdtempSync(join(tmpdir(), 'evenkeel-verify-'));
afterAll(() => rmSync(root, { recursive: true }));

function find(output: string, model: string, how: Correspondence): Promise<Finding[]> {
  return collectFindings(verifyCheckpoint(output, model, how));
}

/** The fixture without its reference outputs, plus side files. */
function modelFolder(name: string): string {
  const folder = join(root, `model-${name}`);
  cpSync(join(CONFORMANCE, name), folder, { recursive: true });
  rmSync(join(folder, 'reference.safetensors'));
  writeFileSync(join(folder, 'chat_template.jinja'), '{{ messages }}');
  return folder;
}

describe('a sound checkpoint has no findings', () => {
  test.each<[string, WriteSettings]>([
    ['qwen3_moe', {}],
    ['qwen3_moe', { format: autoawq }],
    ['qwen3_moe', { scheme: { bits: 4, symmetric: false, groupSize: 32 }, maxShardBytes: 100_000 }],
    ['llama', { scheme: { bits: 8, symmetric: true, groupSize: 'channel' } }],
    ['mixtral', {}],
    ['deepseek_v3_fp8', { maxShardBytes: 200_000 }],
    ['llama4_text', { scheme: { bits: 4, symmetric: true, groupSize: 'channel' } }],
  ])('%s %j', async (name, settings) => {
    const model = modelFolder(name);
    const output = join(root, 'sound');
    const how = await writeRoundToNearest(model, output, { ...settings, existing: 'replace' });
    expect(await find(output, model, how)).toEqual([]);
  });
});

describe('a damaged checkpoint is found out', () => {
  let model: string;
  let sound: string;
  let how: Correspondence;
  const output = join(root, 'damaged');

  beforeAll(async () => {
    model = modelFolder('qwen3_moe');
    sound = join(root, 'undamaged');
    how = await writeRoundToNearest(model, sound, { existing: 'replace' });
  });

  const file = (name: string): string => join(output, name);

  function editConfig(edit: (config: Record<string, unknown>, quantization: Record<string, unknown>) => void): void {
    const config: Record<string, Record<string, unknown>> = JSON.parse(readFileSync(file('config.json'), 'utf8'));
    edit(config, config['quantization_config']!);
    writeFileSync(file('config.json'), JSON.stringify(config));
  }

  function editTensors(edit: (tensors: Map<string, EncodedTensor>) => void): void {
    const source = openSafetensors(file('model.safetensors'));
    const tensors = new Map(
      [...source.infos].map(([name, { dtype, shape }]) => [
        name,
        { name, dtype, shape, bytes: source.readBytes(name) },
      ]),
    );
    source.close();
    edit(tensors);
    writeFileSync(file('model.safetensors'), safetensorsBytes([...tensors.values()]));
  }

  const gate = 'model.layers.0.mlp.experts.1.gate_proj';
  const damages: [string, () => void, Partial<Finding>][] = [
    [
      'a temporary file',
      () => writeFileSync(file('x.safetensors.partial'), ''),
      { check: 'folder', subject: 'x.safetensors.partial' },
    ],
    [
      'a shard that nothing names',
      () => copyFileSync(file('model.safetensors'), file('model-00001-of-00002.safetensors')),
      { check: 'index' },
    ],
    [
      'a truncated file',
      () => writeFileSync(file('model.safetensors'), readFileSync(file('model.safetensors')).subarray(0, -8)),
      { check: 'folder', message: expect.stringContaining('truncated') },
    ],
    [
      'a missing config',
      () => rmSync(file('config.json')),
      { check: 'folder', message: expect.stringContaining("'config.json'") },
    ],
    [
      'a missing side file',
      () => rmSync(file('chat_template.jinja')),
      { check: 'side-files', subject: 'chat_template.jinja' },
    ],
    [
      'a changed side file',
      () => writeFileSync(file('generation_config.json'), '{}'),
      { check: 'side-files', subject: 'generation_config.json' },
    ],
    [
      'another setting changed',
      () => editConfig((config) => (config['num_hidden_layers'] = 3)),
      { check: 'config', subject: 'num_hidden_layers' },
    ],
    [
      'no quantization_status',
      () => editConfig((_, quantization) => delete quantization['quantization_status']),
      { check: 'config', subject: 'quantization_status' },
    ],
    [
      'an empty ignore list',
      () => editConfig((_, quantization) => (quantization['ignore'] = [])),
      { check: 'ignore', subject: 'model.layers.0.mlp.gate' },
    ],
    [
      'an ignore list that takes experts',
      () => editConfig((_, quantization) => (quantization['ignore'] = ['lm_head', 're:.*gate.*'])),
      { check: 'ignore', subject: gate },
    ],
    [
      'another group size in the config',
      () =>
        editConfig(
          (_, quantization) =>
            (quantization['config_groups'] = {
              group_0: {
                targets: ['Linear'],
                weights: { num_bits: 4, symmetric: true, strategy: 'group', group_size: 64 },
              },
            }),
        ),
      { check: 'config', subject: gate },
    ],
    [
      'a missing scale',
      () => editTensors((tensors) => tensors.delete(`${gate}.weight_scale`)),
      { check: 'folder', message: expect.stringContaining('weight_scale') },
    ],
    [
      'a scale of zero',
      () => editTensors((tensors) => tensors.get(`${gate}.weight_scale`)!.bytes.fill(0, 0, 2)),
      { check: 'scales', subject: `${gate}.weight_scale` },
    ],
    [
      'a scale that is NaN',
      () => editTensors((tensors) => tensors.get(`${gate}.weight_scale`)!.bytes.fill(0xff, 4, 6)),
      { check: 'scales' },
    ],
    [
      'a wrong weight_shape',
      () => editTensors((tensors) => (tensors.get(`${gate}.weight_shape`)!.bytes[0] = 1)),
      { check: 'packing', subject: gate },
    ],
    [
      'a flipped bit in a copied tensor',
      () => editTensors((tensors) => (tensors.get('model.norm.weight')!.bytes[1]! ^= 1)),
      { check: 'source', subject: 'model.norm.weight' },
    ],
    [
      'a copied tensor missing',
      () => editTensors((tensors) => tensors.delete('model.norm.weight')),
      { check: 'source', subject: 'model.norm.weight', message: 'is missing' },
    ],
    [
      'a tensor from nowhere',
      () =>
        editTensors((tensors) =>
          tensors.set('old.weight_scale_inv', {
            name: 'old.weight_scale_inv',
            dtype: 'F32',
            shape: [1],
            bytes: new Uint8Array(4),
          }),
        ),
      { check: 'leftover', subject: 'old.weight_scale_inv' },
    ],
    [
      'one expert left unquantized',
      () =>
        editTensors((tensors) => {
          const source = openCheckpoint(model);
          for (const suffix of ['packed', 'scale', 'shape']) tensors.delete(`${gate}.weight_${suffix}`);
          const { dtype, shape } = source.infos.get(`${gate}.weight`)!;
          tensors.set(`${gate}.weight`, {
            name: `${gate}.weight`,
            dtype,
            shape,
            bytes: source.readBytes(`${gate}.weight`),
          });
          source.close();
        }),
      { check: 'experts', subject: 'model.layers.0.mlp.experts' },
    ],
  ];

  test.each(damages)('%s', async (_, damage, expected) => {
    rmSync(output, { recursive: true, force: true });
    cpSync(sound, output, { recursive: true });
    damage();
    expect(await find(output, model, how)).toContainEqual(expect.objectContaining(expected));
  });

  test('a rewritten tensor may differ but must be finite', async () => {
    rmSync(output, { recursive: true, force: true });
    cpSync(sound, output, { recursive: true });
    const smoothed = { ...how, rewritten: new Set(['model.norm.weight']) };
    editTensors((tensors) => (tensors.get('model.norm.weight')!.bytes[0]! ^= 1));
    expect(await find(output, model, smoothed)).toEqual([]);
    editTensors((tensors) => tensors.get('model.norm.weight')!.bytes.fill(0xff));
    expect(await find(output, model, smoothed)).toEqual([
      { check: 'source', subject: 'model.norm.weight', message: 'holds NaN or infinity' },
    ]);
  });

  test('a link out of the folder is refused', async () => {
    rmSync(output, { recursive: true, force: true });
    cpSync(sound, output, { recursive: true });
    rmSync(file('model.safetensors'));
    symlinkSync(join(sound, 'model.safetensors'), file('model.safetensors'));
    expect((await find(output, model, how))[0]!.message).toContain('wanted a file inside the folder, got a link to');
  });
});
