import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { builtinNames, builtinPath } from '../../src/data/builtin.js';
import { findDataFiles } from '../../src/data/data-files.js';
import { globPattern } from '../../src/data/glob.js';
import { readSource } from '../../src/data/read-source.js';
import type { Sample } from '../../src/data/sample.js';
import { createRandom, drawFromStream, drawIndices } from '../../src/data/sampling.js';
import type { SourceEvent, SourceSpec } from '../../src/data/source-spec.js';

const storage = fileURLToPath(new URL('storage', import.meta.url));
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'evenkeel-source-'));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

async function read(spec: SourceSpec, seed = 1, onEvent?: (event: SourceEvent) => void): Promise<Sample[]> {
  const samples: Sample[] = [];
  for await (const sample of readSource(spec, { seed, baseDirectory: folder, onEvent })) samples.push(sample);
  return samples;
}

function write(name: string, rows: readonly unknown[]): string {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return name;
}

function textOf({ content }: Sample): string {
  return content.kind === 'text' ? content.text : '';
}

describe('readSource()', () => {
  it('reads every built-in set, ids unique', async () => {
    expect(builtinNames().length).toBeGreaterThanOrEqual(3);
    for (const name of builtinNames()) {
      const samples = await read({ dataset: `builtin:${name}` });
      expect(new Set(samples.map(({ origin }) => origin.recordId)).size).toBe(samples.length);
      for (const { content, language, origin } of samples) {
        expect(content.kind).toBe('messages');
        expect(language).toMatch(/^[a-z]{3}(-[A-Z][a-z]{3})?$/u);
        expect(origin).toMatchObject({ source: `builtin:${name}`, license: 'CC-BY-4.0', revision: null });
      }
    }
    expect(() => builtinPath('builtin:nope')).toThrow('the built-in sets are builtin:');
  });

  it('is the same from Parquet and from JSON Lines', async () => {
    for (const name of builtinNames()) {
      const path = builtinPath(`builtin:${name}`);
      const origin = { name: 'x' };
      expect(await read({ dataset: path, ...origin })).toEqual(
        await read({ dataset: path.replace(/parquet$/u, 'jsonl'), ...origin }),
      );
    }
  });

  it.each(['v1-zstd.parquet', 'stream.arrow', 'list.json', 'lines.jsonl.zst', 'saved'])(
    'draws from %s by seed, evenly, and never just the first rows',
    async (name) => {
      const spec = { dataset: join(storage, name), samples: 20 };
      const ids = async (seed: number) =>
        (await read(spec, seed)).map(({ origin }) => Number(origin.recordId.slice(4)));
      const first = await ids(1);
      expect(first).toHaveLength(20);
      expect(first).toEqual([...new Set(first)].sort((a, b) => a - b));
      expect(await ids(1)).toEqual(first);
      expect(await ids(2)).not.toEqual(first);
      expect(Math.max(...first)).toBeGreaterThan(60);
    },
  );

  it('draws the same rows whatever the codec and the row groups', async () => {
    const drawn: unknown[] = [];
    for (const name of ['v1-zstd.parquet', 'duckdb.parquet']) {
      // The draw depends on the dataset's name.
      writeFileSync(join(folder, 'same.parquet'), readFileSync(join(storage, name)));
      drawn.push((await read({ dataset: 'same.parquet', samples: 9 })).map(({ origin }) => origin.recordId));
    }
    expect(drawn[0]).toEqual(drawn[1]);
  });

  it('reads all when more are asked for than there are', async () => {
    expect(await read({ dataset: join(storage, 'plain.parquet'), samples: 1000 })).toHaveLength(120);
    expect(await read({ dataset: join(storage, 'lines.jsonl'), samples: 1000 })).toHaveLength(120);
  });

  it('keeps what rows declare and fills in what the recipe says', async () => {
    const dataset = write('declared.jsonl', [
      { id: 7, text: 'a', language: 'ell', category: 'law', license: ['MIT', 'CC0-1.0'] },
      { id: 7, text: 'b', language: null },
      { text: 'c', language: 'Go', repo: 'org/x' },
    ]);
    const samples = await read({ dataset, language: 'sv', category: 'web', license: 'other' });
    expect(
      samples.map(({ language, category, origin }) => [language, category, origin.license, origin.recordId]),
    ).toEqual([
      ['ell', 'law', 'MIT AND CC0-1.0', '7'],
      ['sv', 'web', 'other', '7#1'],
      ['sv', 'web', 'other', '2'],
    ]);
  });

  it('names dataset, row and key, or skips and reports', async () => {
    const dataset = write('bad.jsonl', [
      { messages: [{ role: 'user', content: 'a' }] },
      {
        messages: [
          { role: 'user', content: 'b' },
          { role: 'oracle', content: 'c' },
        ],
      },
      { other: 1 },
      { messages: [{ role: 'user', content: 'd' }] },
    ]);
    await expect(read({ dataset })).rejects.toThrow(/bad\.jsonl:2.*messages\.1\.role: wanted one of .* got "oracle"/u);
    await expect(read({ dataset, format: 'alpaca' })).rejects.toThrow(
      /bad\.jsonl:1.* as alpaca: instruction: wanted a string/u,
    );
    await expect(read({ dataset, columns: ['chat'] })).rejects.toThrow('wanted the column "chat", got messages');
    await expect(read({ dataset, format: 'nope' })).rejects.toThrow('wanted auto or one of input_ids, atif');
    const events: SourceEvent[] = [];
    expect(await read({ dataset, onError: 'skip' }, 1, (event) => events.push(event))).toHaveLength(2);
    const skipped = events.filter((event) => event.type === 'skipped');
    expect(skipped.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('got "oracle"'),
      expect.stringContaining('no schema fits its columns other'),
    ]);
  });

  it('says of a row that nothing fits which columns are empty', async () => {
    const dataset = write('empty.jsonl', [{ id: 1, messages: [], note: null }]);
    await expect(read({ dataset })).rejects.toThrow(
      'no schema fits its columns id, messages (empty), note (empty); set',
    );
  });

  it('reads a folder by the names of its files', async () => {
    write('set/data/train-00000-of-00001.jsonl', [{ text: 'train' }]);
    write('set/data/test-00000-of-00001.jsonl', [{ text: 'test' }]);
    writeFileSync(join(folder, 'set', 'README.md'), '---\nlicense: mit\n---\n# About\n');
    expect((await read({ dataset: 'set' })).map(textOf)).toEqual(['train']);
    const [sample] = await read({ dataset: 'set', split: 'test' });
    expect(sample).toMatchObject({ content: { text: 'test' }, origin: { license: 'mit' } });
    await expect(read({ dataset: 'set', split: 'dev' })).rejects.toThrow('no split "dev"; it has test, train');
    await expect(read({ dataset: 'no/such/thing' })).rejects.toThrow('no file or folder');
  });

  it('refuses a split or subset that a file or a saved dataset does not have', async () => {
    write('one.jsonl', [{ text: 'a' }]);
    write('my-test.jsonl', [{ text: 'b' }]);
    expect(await read({ dataset: 'one.jsonl', split: 'train' })).toHaveLength(1);
    for (const split of ['train', 'test']) expect(await read({ dataset: 'my-test.jsonl', split })).toHaveLength(1);
    await expect(read({ dataset: 'one.jsonl', split: 'test' })).rejects.toThrow('no split "test"; it has train');
    await expect(read({ dataset: 'one.jsonl', subset: 'el' })).rejects.toThrow(
      'Cannot read dataset "one.jsonl": wanted its subset "el", but a file has none',
    );
    const saved = join(storage, 'saved');
    expect(await read({ dataset: saved, split: 'train', samples: 1 })).toHaveLength(1);
    await expect(read({ dataset: saved, split: 'test' })).rejects.toThrow('no split "test"; it has train');
    await expect(read({ dataset: saved, subset: 'el' })).rejects.toThrow('but a saved dataset has none');
  });

  it('says which files of a folder it passes over', async () => {
    for (const name of ['rows-a.jsonl', 'rows-b.jsonl', 'old.json', 'notes.md'])
      write(`mixed/${name}`, [{ text: name }]);
    const events: SourceEvent[] = [];
    expect((await read({ dataset: 'mixed' }, 1, (event) => events.push(event))).map(textOf)).toEqual([
      'rows-a.jsonl',
      'rows-b.jsonl',
    ]);
    expect(events).toContainEqual({
      type: 'note',
      message: 'mixed: not read, as most files are of another format: old.json',
    });
  });

  it('walks through links in a folder, but not round in circles', async () => {
    write('linked/data/rows.jsonl', [{ text: 'a' }]);
    write('elsewhere/more.jsonl', [{ text: 'b' }]);
    symlinkSync('..', join(folder, 'linked', 'data', 'up'));
    symlinkSync('../elsewhere', join(folder, 'linked', 'also'));
    symlinkSync('nowhere', join(folder, 'linked', 'broken.jsonl'));
    expect((await read({ dataset: 'linked' })).map(textOf)).toEqual(['b', 'a']);
  });

  it.skipIf(process.platform === 'win32')(
    'refuses a pipe, which would hold it for ever',
    { timeout: 5000 },
    async () => {
      execFileSync('mkfifo', [join(folder, 'pipe.jsonl')]);
      await expect(read({ dataset: 'pipe.jsonl' })).rejects.toThrow(
        'Cannot read dataset "pipe.jsonl": wanted a file or folder, got a named pipe',
      );
    },
  );

  it('takes ready input_ids as they are', async () => {
    const dataset = write('ids.jsonl', [{ input_ids: [5, 6, 7], language: 'de' }]);
    expect(await read({ dataset })).toMatchObject([
      { content: { kind: 'tokens', inputIds: Int32Array.of(5, 6, 7) }, language: 'de' },
    ]);
  });

  it('stops when asked to', async () => {
    const dataset = write(
      'long.jsonl',
      Array.from({ length: 100 }, (_, at) => ({ text: String(at) })),
    );
    const controller = new AbortController();
    const source = readSource({ dataset }, { seed: 1, baseDirectory: folder, signal: controller.signal });
    await source.next();
    controller.abort();
    await expect(source.next()).rejects.toThrow(/abort/iu);
  });
});

describe('draws', () => {
  it('drawIndices() gives distinct ascending numbers below the total', () => {
    fc.assert(
      fc.property(fc.nat(300), fc.nat(300), fc.nat(), (count, total, seed) => {
        const drawn = drawIndices(count, total, createRandom(seed, 'x'));
        expect(drawn).toHaveLength(Math.min(count, total));
        expect(drawn).toEqual([...new Set(drawn)].sort((a, b) => a - b));
        expect(drawn.every((index) => index >= 0 && index < total)).toBe(true);
      }),
    );
  });

  it.each([
    ['drawIndices()', async (seed: number) => drawIndices(5, 20, createRandom(seed, 'x'))],
    ['drawFromStream()', (seed: number) => drawFromStream(numbers(20), 5, createRandom(seed, 'x'))],
  ])('%s takes every row equally often', async (_, draw) => {
    const counts = Array.from({ length: 20 }, () => 0);
    for (let seed = 0; seed < 2000; seed++)
      for (const index of await draw(seed)) counts[index] = (counts[index] ?? 0) + 1;
    // 500 expected, standard deviation 19: five of them either way.
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(97);
  });
});

async function* numbers(count: number): AsyncGenerator<number> {
  for (let at = 0; at < count; at++) yield at;
}

describe('findDataFiles()', () => {
  const find = (files: string[], query: { split?: string; subset?: string } = {}) =>
    findDataFiles({
      dataset: 'd',
      files,
      card: { configs: null, license: null },
      subset: query.subset,
      split: query.split,
    });

  it.each([
    [
      ['data/train-00000-of-00002.parquet', 'data/train-00001-of-00002.parquet', 'data/test-00000-of-00001.parquet'],
      undefined,
      2,
    ],
    [['train.jsonl', 'dev.jsonl'], undefined, 1],
    [['train.jsonl', 'dev.jsonl'], 'validation', 1],
    [['a.parquet', 'b.parquet'], undefined, 2],
    [['my_training_file.jsonl', 'eval/x.jsonl'], 'test', 1],
    [['README.md', 'LICENSE.txt', 'dataset_infos.json', '.cache/x.jsonl', 'x.jsonl'], undefined, 1],
    [['a.parquet', 'b.parquet', 'extra.json'], undefined, 2],
    [['rows.jsonl', 'docs/a.md', 'docs/b.md'], undefined, 1],
    [['a.txt', 'b.txt'], undefined, 2],
  ])('%j, split %s: %i', (files, split, count) => {
    expect(find(files, split === undefined ? {} : { split })).toHaveLength(count);
  });

  it('takes a folder for a subset', () => {
    expect(find(['en/train.jsonl', 'el/train.jsonl'], { subset: 'el' })).toEqual(['el/train.jsonl']);
    expect(() => find(['en/train.jsonl'], { subset: 'el' })).toThrow('it has no subset "el"');
  });
});

describe('globPattern()', () => {
  it.each([
    ['data/train-*', 'data/train-00000-of-00001.parquet', true],
    ['data/train-*', 'data/train/x.parquet', false],
    ['**/*.jsonl', 'a/b/c.jsonl', true],
    ['**/*.jsonl', 'c.jsonl', true],
    ['part-[0-9].json', 'part-7.json', true],
    ['part-[!0-9].json', 'part-7.json', false],
    ['{a,b}/x?.parquet', 'b/x1.parquet', true],
    ['a+b (1).json', 'a+b (1).json', true],
    ['*.json', 'x.jsonl', false],
  ])('%s on %s: %s', (glob, path, matches) => {
    expect(globPattern(glob).test(path)).toBe(matches);
  });
});
