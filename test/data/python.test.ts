import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readSource } from '../../src/data/read-source.js';
import type { Sample } from '../../src/data/sample.js';
import { buildMix, type BuiltMix } from '../../src/mix/build.js';
import { exportMix } from '../../src/mix/export.js';
import { writeMix } from '../../src/mix/write.js';
import { loadChatTemplate } from '../../src/text/chat-template.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';
import type { Tokenizer } from '../../src/text/tokenizer.js';
import { pythonWith } from '../interop/environment.js';
import { startHub, type HubServer } from './hub/server.js';

const run = promisify(execFile);
const MODEL = 'test/models/polyglot-moe-18m';
const SHA = 'b'.repeat(40);
let python: string;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-python-'));
  python = await pythonWith({
    name: 'datasets',
    requirements: new URL('./python/requirements.txt', import.meta.url),
    variable: 'EVENKEEL_DATASETS_PYTHON',
  });
  // Making the virtual environment is most of it, and happens once.
}, 1_200_000);

afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs a script beside this file; in an empty folder, as Python would import the repository's own datasets/. */
async function script(
  name: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<unknown> {
  const path = fileURLToPath(new URL(`./python/${name}`, import.meta.url));
  const own = Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('HF_')));
  const env = { ...own, HF_HUB_DISABLE_TELEMETRY: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1', ...environment };
  const { stdout } = await run(python, [path, ...args], { cwd: folder, env, maxBuffer: 2 ** 28 });
  return JSON.parse(stdout);
}

describe('datasets.load_from_disk()', () => {
  let mix: BuiltMix;
  let tokenizer: Tokenizer;
  beforeAll(async () => {
    tokenizer = await loadTokenizer(MODEL);
    const build = buildMix(readSource({ dataset: 'builtin:languages' }, { seed: 42 }), {
      tokenizer,
      chatTemplate: await loadChatTemplate(MODEL),
      modelVocabularySize: 16_384,
      sequenceLength: 256,
      overflow: 'window',
      tokens: 8192,
      sourceWeights: new Map(),
      languageWeights: new Map(),
      seed: 42,
      version: '0.0.0',
      wanted: new Map(),
    });
    let step = await build.next();
    while (step.done !== true) step = await build.next();
    mix = step.value;
  });

  it('opens a mix folder, every column as it was written', { timeout: 60_000 }, async () => {
    const path = join(folder, 'mix');
    await writeMix(path, mix, tokenizer);
    const opened = await script('open_mix.py', [path]);
    expect(opened).toMatchObject({
      names: [
        'input_ids',
        'channels',
        'text',
        'language',
        'category',
        'source',
        'revision',
        'license',
        'record_id',
        'window',
      ],
      features: {
        input_ids: expect.stringContaining("Value('int32')"),
        text: "Value('string')",
        window: "Value('int32')",
      },
      rows: mix.sequences.map((sequence) => ({
        input_ids: [...sequence.inputIds],
        channels: [...sequence.channels],
        text: tokenizer.decode(sequence.inputIds),
        language: sequence.language,
        category: sequence.category,
        source: sequence.source,
        revision: sequence.revision,
        license: sequence.license,
        record_id: sequence.recordId,
        window: sequence.window,
      })),
    });
  });

  it('opens what is exported for llm-compressor', { timeout: 60_000 }, async () => {
    const { path } = await exportMix('llm-compressor', join(folder, 'exported'), mix.sequences, tokenizer);
    expect(await script('open_mix.py', [path])).toMatchObject({
      names: ['input_ids', 'attention_mask'],
      rows: mix.sequences.map(({ inputIds }) => ({
        input_ids: [...inputIds],
        attention_mask: [...inputIds].map(() => 1),
      })),
    });
  });
});

describe('the cache of huggingface_hub', () => {
  const small = Buffer.from('{"text": "small"}\n');
  const large = Buffer.from(
    Array.from({ length: 60 }, (_, at) => `{"text": "a row of a larger file, number ${at}"}\n`).join(''),
  );
  const files = { 'README.md': Buffer.from('# A set\n'), 'data/small.jsonl': small, 'data/train.jsonl': large };
  const answer = z.object({
    paths: z.record(z.string(), z.string()),
    warnings: z.array(z.string()),
    repositories: z.array(z.string()),
  });
  let hub: HubServer;

  beforeAll(async () => {
    hub = await startHub([{ type: 'dataset', id: 'org/set', refs: { main: SHA }, commits: { [SHA]: files } }]);
  });
  afterAll(() => hub.close());

  async function read(cacheDirectory: string, offline: boolean): Promise<Sample[]> {
    const samples: Sample[] = [];
    const options = { seed: 1, hub: { endpoint: hub.endpoint, cacheDirectory, offline, token: null } };
    for await (const sample of readSource({ dataset: 'org/set' }, options)) samples.push(sample);
    return samples;
  }

  it('gives Python what we have downloaded', { timeout: 60_000 }, async () => {
    const cache = join(folder, 'ours');
    await read(cache, false);
    const found = answer.parse(
      await script('hub_files.py', ['cached', 'org/set', 'main', 'data/small.jsonl', 'data/train.jsonl'], {
        HF_HUB_CACHE: cache,
        HF_HUB_OFFLINE: '1',
      }),
    );
    expect(found).toMatchObject({ warnings: [], repositories: ['org/set'] });
    expect(readFileSync(found.paths['data/train.jsonl'] ?? '')).toEqual(large);
    expect(readFileSync(found.paths['data/small.jsonl'] ?? '')).toEqual(small);
  });

  it('gives us what Python has downloaded, without a request', { timeout: 60_000 }, async () => {
    const home = join(folder, 'theirs');
    await script('hub_files.py', ['download', 'org/set', 'main', ...Object.keys(files)], {
      HF_HOME: home,
      HF_ENDPOINT: hub.endpoint,
    });
    hub.log.length = 0;
    const samples = await read(join(home, 'hub'), true);
    expect(samples).toHaveLength(61);
    expect(samples[0]?.origin).toMatchObject({ source: 'org/set', revision: SHA });
    expect(hub.log).toEqual([]);
    // And with the network nothing is fetched twice.
    await read(join(home, 'hub'), false);
    expect(hub.log.filter((entry) => entry.includes('/resolve/'))).toEqual([]);
  });
});
