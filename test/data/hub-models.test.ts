import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { downloadModel } from '../../src/data/hub/model.js';
import type { HubOptions } from '../../src/data/hub/settings.js';
import { uploadFolder } from '../../src/data/hub/upload.js';
import { startHub, status, type HubServer, type ServedRepository } from './hub/server.js';

const SHA = 'a'.repeat(40);

let hub: HubServer;
let cache: string;

beforeEach(async () => {
  hub = await startHub([]);
  cache = mkdtempSync(join(tmpdir(), 'evenkeel-hub-'));
});

afterEach(async () => {
  await hub.close();
  rmSync(cache, { recursive: true });
});

function options(extra: HubOptions = {}): HubOptions {
  return { endpoint: hub.endpoint, cacheDirectory: cache, token: null, retryDelay: 1, ...extra };
}

describe('models', () => {
  const weights = randomBytes(5000);
  const model: ServedRepository = {
    type: 'model',
    id: 'org/model',
    refs: { main: SHA },
    commits: {
      [SHA]: {
        'config.json': Buffer.from('{"model_type":"qwen3_moe"}'),
        'model-00001-of-00002.safetensors': weights,
        'model-00002-of-00002.safetensors': weights.subarray(0, 4000),
        'model.safetensors.index.json': Buffer.from('{}'),
        'tokenizer.json': Buffer.from('{"a":1}'),
        'chat_template.jinja': Buffer.from('{{ x }}'),
        'pytorch_model.bin': weights.subarray(0, 3000),
        'original/consolidated.safetensors': weights.subarray(0, 2500),
        'onnx/config.json': Buffer.from('{}'),
        'README.md': Buffer.from('# M'),
      },
    },
  };

  it('downloadModel() fetches what is needed, and only that', async () => {
    hub.repositories.push(model);
    let last = { bytes: 0, totalBytes: -1 };
    const { directory, revision } = await downloadModel('org/model', null, {
      ...options(),
      onProgress: (each) => (last = each),
    });
    expect(revision).toBe(SHA);
    expect(directory).toBe(join(cache, 'models--org--model', 'snapshots', SHA));
    expect(readdirSync(directory).sort()).toEqual([
      'README.md',
      'chat_template.jinja',
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'tokenizer.json',
    ]);
    expect(readFileSync(join(directory, 'model-00001-of-00002.safetensors')).equals(weights)).toBe(true);
    expect(last.bytes).toBe(last.totalBytes);
    expect((await downloadModel('org/model@main', null, { ...options(), offline: true })).directory).toBe(directory);
  });

  it('uploadFolder() makes the repository and commits the files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'evenkeel-push-'));
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'model.safetensors'), weights);
    writeFileSync(join(folder, 'sub', 'config.json'), '{}');
    writeFileSync(join(folder, '.hidden'), 'no');
    hub.faults.push(
      { url: /preupload/u, times: 1, act: status(503) },
      { url: /^\/upload\//u, times: 1, act: status(500) },
    );
    const states: string[] = [];
    const upload = uploadFolder('org/new', folder, options({ token: 'hf_writer' }));
    let step = await upload.next();
    for (; step.done !== true; step = await upload.next()) states.push(step.value.type);
    expect(states).toContain('created');
    expect(states).toContain('file');
    expect(step.value.revision).toBe(hub.repositories.at(-1)?.refs['main']);
    const served = hub.repositories.at(-1)?.commits[step.value.revision] ?? {};
    expect(Object.keys(served).sort()).toEqual(['model.safetensors', 'sub/config.json']);
    expect(served['model.safetensors']?.equals(weights)).toBe(true);
    rmSync(folder, { recursive: true });
  });

  it('uploadFolder() says who may not write', async () => {
    hub.repositories.push(model);
    writeFileSync(join(cache, 'config.json'), '{}');
    await expect(uploadFolder('org/model', cache, options({ token: null })).next()).rejects.toThrow(
      'HF_TOKEN is not set',
    );
    await expect(uploadFolder('org/model', cache, options({ token: 'hf_reader' })).next()).rejects.toThrow(
      'does the token of HF_TOKEN have the right to write there?',
    );
  });
});
