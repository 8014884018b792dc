import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { assertApart, prepareFolder } from '../../src/checkpoint/output-folder.js';

/** A folder with one shard and this config.json. */
function modelFolder(config: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-output-'));
  writeFileSync(join(folder, 'config.json'), config);
  writeFileSync(join(folder, 'model.safetensors'), 'weights');
  return folder;
}

describe('prepareFolder()', () => {
  it.each(['{"model_type": "qwen3_moe"}', 'torn {'])('keeps a model that nobody quantized: %s', async (config) => {
    const folder = modelFolder(config);
    await expect(prepareFolder(folder, 'replace')).rejects.toThrow('wanted a quantized checkpoint');
    expect(readdirSync(folder).sort()).toEqual(['config.json', 'model.safetensors']);
  });

  it('replaces a quantized checkpoint, and weights that an interrupted replacement left', async () => {
    const folder = modelFolder('{"quantization_config": {"quant_method": "compressed-tensors"}}');
    expect(await prepareFolder(folder, 'replace')).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
    writeFileSync(join(folder, 'model.safetensors'), 'weights');
    expect(await prepareFolder(folder, 'replace')).toBe(false);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('assertApart()', () => {
  it("refuses the model's own folder, a link to it too, and takes any other", () => {
    const model = modelFolder('{}');
    const link = `${model}-link`;
    symlinkSync(model, link);
    for (const output of [model, `${model}/`, link])
      expect(() => assertApart(model, output)).toThrow("wanted another folder than the model's");
    mkdirSync(join(model, 'quantized'));
    for (const output of [join(model, 'quantized'), `${model}-new`])
      expect(() => assertApart(model, output)).not.toThrow();
  });
});
