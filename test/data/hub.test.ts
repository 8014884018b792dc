import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  mkdirSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { hubSettings, type HubOptions } from '../../src/data/hub/settings.js';
import { readSource } from '../../src/data/read-source.js';
import type { Sample } from '../../src/data/sample.js';
import type { SourceEvent, SourceSpec } from '../../src/data/source-spec.js';
import { InputError } from '../../src/errors.js';
import { cut, sha256, startHub, status, truncate, type HubServer, type ServedRepository } from './hub/server.js';

const SHA = 'a'.repeat(40);
const CONVERTED = 'c'.repeat(40);
const storage = fileURLToPath(new URL('storage', import.meta.url));
const parquet = readFileSync(join(storage, 'v1-snappy.parquet'));
const lines = (name: string, count: number) =>
  Buffer.from(
    Array.from(
      { length: count },
      (_, at) => `${JSON.stringify({ text: `${name} ${at}`, pad: 'x'.repeat(40) })}\n`,
    ).join(''),
  );

const dataset: ServedRepository = {
  type: 'dataset',
  id: 'org/set',
  license: 'cc-by-4.0',
  refs: { main: SHA, 'v1.0': SHA },
  commits: {
    [SHA]: {
      'README.md': Buffer.from(
        '---\nlicense: cc-by-4.0\nconfigs:\n- config_name: chat\n  data_files:\n  - split: train\n    path: chat/train-*\n' +
          '- config_name: plain\n  data_files:\n  - {split: train, path: plain/a.jsonl}\n  - {split: dev, path: ["plain/b.*"]}\n---\n# Set\n',
      ),
      'chat/train-00000-of-00002.parquet': parquet,
      'chat/train-00001-of-00002.parquet': parquet,
      'plain/a.jsonl': lines('a', 50),
      'plain/b.jsonl': lines('b', 7),
    },
  },
};

let hub: HubServer;
let cache: string;
let events: SourceEvent[];

beforeEach(async () => {
  hub = await startHub([structuredCloneRepository(dataset)]);
  cache = mkdtempSync(join(tmpdir(), 'evenkeel-hub-'));
  events = [];
});

afterEach(async () => {
  await hub.close();
  rmSync(cache, { recursive: true });
});

function structuredCloneRepository(repository: ServedRepository): ServedRepository {
  return { ...repository, refs: { ...repository.refs }, commits: { ...repository.commits } };
}

function options(extra: HubOptions = {}): HubOptions {
  return { endpoint: hub.endpoint, cacheDirectory: cache, token: null, retryDelay: 1, ...extra };
}

async function read(spec: SourceSpec, extra: HubOptions = {}): Promise<Sample[]> {
  const samples: Sample[] = [];
  const settings = { seed: 7, hub: options(extra), onEvent: (event: SourceEvent) => events.push(event) };
  for await (const sample of readSource(spec, settings)) samples.push(sample);
  return samples;
}

describe('reading a dataset', () => {
  it('reads the subset and split of the card at a pinned commit', async () => {
    const samples = await read({ dataset: 'org/set', subset: 'plain', split: 'dev' });
    expect(samples.map(({ content }) => content)).toEqual(
      Array.from({ length: 7 }, (_, at) => ({ kind: 'text', text: `b ${at}` })),
    );
    expect(samples[0]?.origin).toEqual({ source: 'org/set', revision: SHA, license: 'cc-by-4.0', recordId: '0' });
    expect(events[0]).toMatchObject({ type: 'opened', revision: SHA, files: ['plain/b.jsonl'] });
  });

  it('reads every shard, and takes a tag after the id', async () => {
    const samples = await read({ dataset: 'org/set@v1.0', subset: 'chat' });
    expect(samples).toHaveLength(240);
    expect(new Set(samples.map(({ origin }) => origin.recordId)).size).toBe(240);
  });

  it('names the choices when there are several', async () => {
    await expect(read({ dataset: 'org/set' })).rejects.toThrow(
      'several subsets and none is chosen; it has chat, plain',
    );
    await expect(read({ dataset: 'org/set', subset: 'x' })).rejects.toThrow('no subset "x"; it has chat, plain');
    await expect(read({ dataset: 'org/set', subset: 'plain', split: 'x' })).rejects.toThrow(
      'no split "x"; it has train, dev',
    );
  });

  it('lays the cache out as Python does and reads it again without the network', async () => {
    const first = await read({ dataset: 'org/set', subset: 'chat' });
    const root = join(cache, 'datasets--org--set');
    expect(readFileSync(join(root, 'refs', 'main'), 'utf8')).toBe(SHA);
    const link = join(root, 'snapshots', SHA, 'chat', 'train-00000-of-00002.parquet');
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readlinkSync(link)).toBe(join('..', '..', '..', 'blobs', sha256(parquet)));
    expect(readdirSync(join(root, 'blobs')).filter((name) => name.endsWith('.incomplete'))).toEqual([]);
    hub.log.length = 0;
    expect(await read({ dataset: 'org/set', subset: 'chat' }, { offline: true })).toEqual(first);
    expect(hub.log).toEqual([]);
    await expect(read({ dataset: 'org/set', subset: 'plain' }, { offline: true })).rejects.toThrow(
      'no file matches plain/a.jsonl',
    );
    await expect(read({ dataset: 'org/other' }, { offline: true })).rejects.toThrow('HF_HUB_OFFLINE is set');
  });

  it('does not fetch a file twice', async () => {
    await read({ dataset: 'org/set', subset: 'plain' });
    hub.log.length = 0;
    await read({ dataset: 'org/set', subset: 'plain' });
    expect(hub.log.filter((entry) => entry.includes('/resolve/'))).toEqual([]);
  });

  it('falls back to the Parquet conversion', async () => {
    hub.repositories.push({
      type: 'dataset',
      id: 'org/scripted',
      refs: { main: SHA, 'refs/convert/parquet': CONVERTED },
      commits: { [SHA]: { 'scripted.py': Buffer.from('…') }, [CONVERTED]: { 'default/train/0000.parquet': parquet } },
    });
    const samples = await read({ dataset: 'org/scripted' });
    expect(samples).toHaveLength(120);
    expect(samples[0]?.origin.revision).toBe(CONVERTED);
    await expect(read({ dataset: 'org/scripted', split: 'test' })).rejects.toThrow('it has no data files');
  });

  it('reads parts of a large Parquet file by ranges', async () => {
    const { parquetWriteBuffer } = await import('hyparquet-writer');
    // Incompressible, as snappy would else leave nothing to save.
    const data = Array.from({ length: 400 }, () => randomBytes(12 << 10).toString('base64'));
    const columnData = ['text', 'unused'].map((name) => ({ name, data, type: 'STRING' as const }));
    const big = Buffer.from(parquetWriteBuffer({ columnData, rowGroupSize: 20 }));
    hub.repositories.push({
      type: 'dataset',
      id: 'org/big',
      refs: { main: SHA },
      commits: { [SHA]: { 'train.parquet': big } },
    });
    hub.faults.push({ url: /\/cdn\//u, times: 1, act: cut }, { url: /\/cdn\//u, times: 2, act: status(503) });
    const samples = await read({ dataset: 'org/big', samples: 3 }, { rangedBytes: 1 << 20 });
    expect(samples).toHaveLength(3);
    for (const { content, origin } of samples) {
      expect(content).toEqual({ kind: 'text', text: data[Number(origin.recordId)] });
    }
    const ranges = hub.log.flatMap((entry) => /\/cdn\/.* bytes=(\d+)-(\d+)$/u.exec(entry)?.slice(1).map(Number) ?? []);
    const fetched = ranges.reduce((sum, each, at) => sum + (at % 2 === 0 ? -each : each + 1), 0);
    expect(fetched).toBeLessThan(big.length / 3);
    expect(existsSync(join(cache, 'datasets--org--big', 'blobs'))).toBe(false);
  });
});

describe('trouble on the way', () => {
  const spec = { dataset: 'org/set', subset: 'plain' };
  const file = dataset.commits[SHA]?.['plain/a.jsonl'] ?? Buffer.alloc(0);

  it.each([
    ['503 on the revision', /\/revision\//u, status(503)],
    ['429 on the listing', /\/tree\//u, status(429, { 'retry-after': '0' })],
    ['500 on a file', /\/resolve\//u, status(500)],
    ['a cut connection', /\/revision\//u, cut],
    ['a cut download', /\/cdn\//u, truncate(file, 500, false)],
    ['a truncated download that looks whole', /\/cdn\//u, truncate(file, 500, true)],
    ['other bytes', /\/cdn\//u, truncate(Buffer.from(file.toString().replace('a 3', 'z 3')), file.length, true)],
  ])('%s is overcome', async (_, url, act) => {
    hub.faults.push({ url, times: 2, act });
    expect(await read(spec)).toHaveLength(50);
  });

  it('goes on where a cut download stopped', async () => {
    hub.faults.push({ url: /\/cdn\//u, times: 1, act: truncate(file, 1500, false) });
    await read(spec);
    expect(hub.log.some((entry) => /\/cdn\/.* bytes=1500-$/u.test(entry))).toBe(true);
  });

  it('takes over what a killed process has left', async () => {
    const blobs = join(cache, 'datasets--org--set', 'blobs');
    mkdirSync(blobs, { recursive: true });
    // No process has this number: the largest on Linux is 2²².
    writeFileSync(join(blobs, `${sha256(file)}.9999999.incomplete`), file.subarray(0, 800));
    expect(await read(spec)).toHaveLength(50);
    expect(hub.log.some((entry) => /\/cdn\/.* bytes=800-$/u.test(entry))).toBe(true);
  });

  it('waits as long as Retry-After says', async () => {
    hub.faults.push({ url: /\/revision\//u, times: 1, act: status(429, { 'retry-after': '1' }) });
    const start = performance.now();
    await read(spec);
    expect(performance.now() - start).toBeGreaterThan(900);
  });

  it.each([
    ['stays truncated', truncate(file, 500, true), 'bytes, got 500'],
    ['stays wrong', truncate(Buffer.alloc(file.length), file.length, true), `wanted sha256 ${sha256(file)}`],
    ['stays longer', truncate(Buffer.concat([file, file]), file.length * 2, true), 'bytes, got'],
  ])('a file that %s is refused and leaves no blob', async (_, act, message) => {
    hub.faults.push({ url: /\/cdn\//u, times: 99, act });
    const reading = read(spec);
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(message);
    expect(readdirSync(join(cache, 'datasets--org--set', 'blobs'))).not.toContain(sha256(file));
  });

  it('gives up on a server that stays down, with its address', async () => {
    hub.faults.push({ url: /./u, times: 99, act: cut });
    await expect(read(spec)).rejects.toThrow(`Cannot reach "${hub.endpoint}/api/datasets/org/set/revision/main"`);
  });

  it('stops at once when asked to', async () => {
    const controller = new AbortController();
    hub.faults.push({ url: /\/tree\//u, times: 99, act: () => controller.abort() });
    const source = readSource(spec, { seed: 1, hub: options({ retryDelay: 60_000 }), signal: controller.signal });
    hub.faults.unshift({
      url: /\/revision\//u,
      times: 99,
      act: (_, response) => {
        response.writeHead(503).end();
        setTimeout(() => controller.abort(), 20);
      },
    });
    await expect(source.next()).rejects.toThrow(/abort/iu);
  });
});

describe('access', () => {
  it('sends the token to the Hub and never to the storage it redirects to', async () => {
    hub.repositories.push({ ...dataset, id: 'org/private', token: 'hf_reader' });
    expect(await read({ dataset: 'org/private', subset: 'plain' }, { token: 'hf_reader' })).toHaveLength(50);
  });

  it('says what a refusal means', async () => {
    hub.repositories.push({ ...dataset, id: 'org/private', token: 'hf_reader' });
    hub.repositories.push({ ...dataset, id: 'org/gated', token: 'hf_reader', gated: true });
    await expect(read({ dataset: 'org/private' })).rejects.toThrow(
      'does not exist, or is private and HF_TOKEN is not set',
    );
    await expect(read({ dataset: 'org/gated' })).rejects.toThrow(
      `accept its terms at ${hub.endpoint}/datasets/org/gated and set HF_TOKEN`,
    );
    await expect(read({ dataset: 'org/set@nope' })).rejects.toThrow('it has no revision "nope"');
  });

  it('refuses names that leave the cache', async () => {
    hub.repositories.push({
      type: 'dataset',
      id: 'org/evil',
      refs: { main: SHA },
      commits: { [SHA]: { '../../x.jsonl': lines('x', 2) } },
    });
    await expect(read({ dataset: 'org/evil' })).rejects.toThrow('it has a file named "../../x.jsonl"');
  });
});

describe('hubSettings()', () => {
  it('reads the environment as Python does', () => {
    const home = mkdtempSync(join(tmpdir(), 'evenkeel-home-'));
    writeFileSync(join(home, 'token'), 'hf_saved\n');
    expect(hubSettings({}, { HF_HOME: home, HF_ENDPOINT: 'https://hub.example.org/' })).toMatchObject({
      endpoint: 'https://hub.example.org',
      token: 'hf_saved',
      cacheDirectory: join(home, 'hub'),
      offline: false,
    });
    expect(hubSettings({}, { HF_HOME: home, HF_HUB_CACHE: '/c', HF_TOKEN: 'hf_x', HF_HUB_OFFLINE: '1' })).toMatchObject(
      {
        token: 'hf_x',
        cacheDirectory: '/c',
        offline: true,
      },
    );
    rmSync(home, { recursive: true });
  });
});
