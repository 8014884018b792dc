import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { JOURNAL_FILE } from '../../src/checkpoint/journal.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { LOCK_FILE } from '../../src/checkpoint/output-folder.js';
import { listSideFiles } from '../../src/checkpoint/side-files.js';
import { createCheckpointWriter } from '../../src/checkpoint/writer.js';
import { writeRoundToNearest } from './round-to-nearest.js';
import { safetensorsBytes } from './safetensors-bytes.js';

const MODEL = join(import.meta.dirname, '../conformance/qwen3_moe');
const CHILD = join(import.meta.dirname, 'write-child.ts');
const root = mkdtempSync(join(tmpdir(), 'evenkeel-writer-'));
afterAll(() => rmSync(root, { recursive: true }));

let output: string;
let count = 0;
beforeEach(() => {
  output = join(root, `output-${count++}`);
});

function contents(folder: string): Record<string, string> {
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map((name) => [name, readFileSync(join(folder, name), 'base64')]),
  );
}

const twoTensors = [
  { name: 'b', dtype: 'BF16', shape: [3], bytes: Uint8Array.of(1, 2, 3, 4, 5, 6) },
  { name: 'a', dtype: 'I64', shape: [1], bytes: Uint8Array.of(8, 7, 6, 5, 4, 3, 2, 1) },
] as const;

describe('createCheckpointWriter()', () => {
  test('writes aligned, sorted, byte-identical files, in whatever order and pieces the tensors come', async () => {
    const first = await createCheckpointWriter(output, { entries: twoTensors, key: {} });
    await first.write('b', twoTensors[0].bytes);
    await first.write('a', twoTensors[1].bytes);
    await first.finish({ config: '{}\n' });
    await first.close();
    const again = `${output}-again`;
    const second = await createCheckpointWriter(again, { entries: twoTensors, key: { other: 'key' } });
    await second.write('a', [twoTensors[1].bytes.subarray(0, 3), twoTensors[1].bytes.subarray(3)]);
    await second.write(
      'b',
      (async function* () {
        yield twoTensors[0].bytes;
      })(),
    );
    await second.finish({ config: '{}\n' });
    await second.close();
    expect(contents(again)).toEqual(contents(output));
    expect(readdirSync(output).sort()).toEqual(['config.json', 'model.safetensors']);
    const bytes = readFileSync(join(output, 'model.safetensors'));
    const length = Number(bytes.readBigUInt64LE(0));
    expect(length % 8).toBe(0);
    expect(
      bytes
        .subarray(8, 8 + length)
        .toString()
        .trimEnd(),
    ).toBe(
      '{"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[1],"data_offsets":[0,8]},"b":{"dtype":"BF16","shape":[3],"data_offsets":[8,14]}}',
    );
  });

  test('several shards get an index with every tensor and the total size', async () => {
    const writer = await createCheckpointWriter(output, { entries: twoTensors, key: {}, maxShardBytes: 8 });
    for (const { name, bytes } of twoTensors) await writer.write(name, bytes);
    expect(existsSync(join(output, 'config.json'))).toBe(false);
    await writer.finish({ config: '{}', files: { 'README.md': 'quantized' } });
    await writer.close();
    const [one, two] = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    expect(readdirSync(output).sort()).toEqual(['README.md', 'config.json', one, two, 'model.safetensors.index.json']);
    expect(JSON.parse(readFileSync(join(output, 'model.safetensors.index.json'), 'utf8'))).toEqual({
      metadata: { total_size: 14 },
      weight_map: { a: two, b: one },
    });
    const source = openCheckpoint(output);
    expect(source.readBytes('b')).toEqual(twoTensors[0].bytes);
    source.close();
  });

  test('nothing looks finished until it is: no config.json, shards under temporary names', async () => {
    const writer = await createCheckpointWriter(output, { entries: twoTensors, key: {} });
    await writer.write('a', twoTensors[1].bytes);
    await expect(writer.finish({ config: '{}' })).rejects.toThrow("1 tensors are missing, first 'b'");
    await writer.close();
    expect(readdirSync(output).sort()).toEqual([JOURNAL_FILE, 'model.safetensors.partial']);
  });

  test('refuses tensors that are unknown, twice, too long or too short', async () => {
    const writer = await createCheckpointWriter(output, { entries: twoTensors, key: {} });
    await expect(writer.write('c', new Uint8Array(1))).rejects.toThrow('plan has no such tensor');
    await expect(writer.write('a', new Uint8Array(9))).rejects.toThrow("'a': wanted 8 bytes, got 9");
    await expect(writer.write('a', [new Uint8Array(7)])).rejects.toThrow("'a': wanted 8 bytes, got 7");
    await writer.write('a', twoTensors[1].bytes);
    await expect(writer.write('a', twoTensors[1].bytes)).rejects.toThrow('it is written already');
    await writer.close();
    await expect(createCheckpointWriter(output, { entries: [...twoTensors, twoTensors[0]], key: {} })).rejects.toThrow(
      'occur twice',
    );
  });

  test('side files may not leave the folder', async () => {
    const writer = await createCheckpointWriter(output, { entries: [], key: {} });
    await expect(writer.finish({ config: '{}', files: { '../x': 'y' } })).rejects.toThrow("open file '../x'");
    await writer.close();
    const model = join(root, 'links');
    mkdirSync(join(model, 'additional_chat_templates'), { recursive: true });
    for (const name of [
      'a.py',
      'LICENSE',
      'x.safetensors',
      'config.json',
      'pytorch_model.bin',
      'additional_chat_templates/t.jinja',
    ]) {
      writeFileSync(join(model, name), name);
    }
    expect(listSideFiles(model)).toEqual(['LICENSE', 'a.py', 'additional_chat_templates/t.jinja']);
    symlinkSync('/etc/passwd', join(model, 'tokenizer.json'));
    expect(() => listSideFiles(model)).toThrow("got a link to '/etc/passwd'");
  });

  test('a disk that is too small is refused before anything is written', async () => {
    const entries = [{ name: 'x', dtype: 'F32', shape: [2 ** 50] }] as const;
    await expect(createCheckpointWriter(output, { entries, key: {} })).rejects.toThrow(
      /wanted \d+ bytes of free space, got \d+/,
    );
  });
});

describe('a folder that is in use or holds something', () => {
  test('a second writer is refused while the first is at work, the lock of a dead process is taken over', async () => {
    const first = await createCheckpointWriter(output, { entries: twoTensors, key: {} });
    await expect(createCheckpointWriter(output, { entries: twoTensors, key: {}, existing: 'resume' })).rejects.toThrow(
      `process ${process.pid} on`,
    );
    await first.close();
    const gone = spawnSync('true').pid;
    const lock: object = JSON.parse(JSON.stringify({ pid: gone, host: (await import('node:os')).hostname() }));
    writeFileSync(join(output, LOCK_FILE), JSON.stringify(lock));
    await (await createCheckpointWriter(output, { entries: twoTensors, key: {}, existing: 'resume' })).close();
  });

  test('refuse, resume and replace', async () => {
    const options = { entries: twoTensors, key: { seed: '42', mix: 'abc' } };
    const first = await createCheckpointWriter(output, options);
    await first.write('a', twoTensors[1].bytes);
    await first.commit();
    await first.close();
    await expect(createCheckpointWriter(output, options)).rejects.toThrow('holds an interrupted run already');
    await expect(
      createCheckpointWriter(output, { ...options, key: { seed: '43', mix: 'abc' }, existing: 'resume' }),
    ).rejects.toThrow('it was started with other settings: seed was 42, is 43');
    await expect(
      createCheckpointWriter(output, { ...options, entries: [twoTensors[0]], existing: 'resume' }),
    ).rejects.toThrow('another list of tensors');
    const resumed = await createCheckpointWriter(output, { ...options, existing: 'resume' });
    expect([...resumed.written]).toEqual(['a']);
    await resumed.write('b', twoTensors[0].bytes);
    await resumed.finish({ config: '{"quantization_config": {}}' });
    // What is still to be tidied up is not another run's to find.
    await expect(createCheckpointWriter(output, { ...options, existing: 'replace' })).rejects.toThrow(
      'is writing there',
    );
    await resumed.close();
    await expect(createCheckpointWriter(output, options)).rejects.toThrow('holds a finished checkpoint already');
    const replaced = await createCheckpointWriter(output, { ...options, existing: 'replace' });
    expect(existsSync(join(output, 'config.json'))).toBe(false);
    expect([...replaced.written]).toEqual([]);
    await replaced.close();
  });

  test('a tensor that was damaged after the crash is written again', async () => {
    const options = { entries: twoTensors, key: {} };
    const first = await createCheckpointWriter(output, options);
    for (const { name, bytes } of twoTensors) await first.write(name, bytes);
    await first.close();
    const path = join(output, 'model.safetensors');
    writeFileSync(path, safetensorsBytes([{ ...twoTensors[1], bytes: new Uint8Array(8) }, twoTensors[0]]));
    const resumed = await createCheckpointWriter(output, { ...options, existing: 'resume' });
    expect(resumed.written.has('a')).toBe(false);
    for (const { name, bytes } of twoTensors) if (!resumed.written.has(name)) await resumed.write(name, bytes);
    await resumed.finish({ config: '{}' });
    await resumed.close();
    const source = openCheckpoint(output);
    expect(source.readBytes('a')).toEqual(twoTensors[1].bytes);
    source.close();
  });
});

describe('crashes', () => {
  const node = ['--import', 'tsx', CHILD, MODEL];

  /** Tensors that the child may go on to before a kill reaches it; a busy machine once let it finish. */
  const GRACE = 5;

  /** Runs the child until it has written `tensors` tensors, then kills it; returns what it wrote. */
  async function runAndKill(tensors: number): Promise<string[]> {
    const child = spawn(process.execPath, [...node, output, 'resume', '1', '', String(tensors + GRACE)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const written: string[] = [];
    for await (const line of createInterface(child.stdout)) {
      written.push(line);
      if (written.length >= tensors) child.kill('SIGKILL');
    }
    return written;
  }

  test('kill -9 again and again, then resume: byte-identical, and no committed tensor was written twice', async () => {
    const undisturbed = `${output}-undisturbed`;
    await writeRoundToNearest(MODEL, undisturbed, { maxShardBytes: 50_000 });
    const source = openCheckpoint(undisturbed);
    const most = Math.floor(source.infos.size / 7) - GRACE;
    source.close();
    expect(most).toBeGreaterThan(3);
    const written: string[] = [];
    for (let kill = 0; kill < 6; kill++) {
      written.push(...(await runAndKill(3 + Math.floor(Math.random() * (most - 2)))));
      expect(existsSync(join(output, 'config.json'))).toBe(false);
    }
    written.push(...(await runAndKill(Number.POSITIVE_INFINITY)));
    expect(written.pop()).toBe('finished');
    expect(written.length).toBe(new Set(written).size);
    expect(contents(output)).toEqual(contents(undisturbed));
  });

  test('a full disk is an InputError that names the file, nothing looks finished, and the run can be resumed', () => {
    mkdirSync(output);
    const [disk, copy] = [join(output, 'disk'), join(output, 'copy')];
    mkdirSync(disk);
    // A small file system of its own, in a mount namespace that ends with the shell.
    const script = [
      'mount -t tmpfs -o size=600k tmpfs "$DISK"',
      '"$@" "$DISK/out" refuse 0 "$DISK/filler" || true',
      'ls -A "$DISK/out"',
      'rm "$DISK"/filler*',
      '"$@" "$DISK/out" resume 0',
      'cp -r "$DISK/out" "$COPY"',
    ].join(' && ');
    const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--user', '--map-root-user', '--mount'];
    const result = spawnSync('unshare', [...namespace, 'sh', '-c', script, 'sh', process.execPath, ...node], {
      encoding: 'utf8',
      env: { ...process.env, DISK: disk, COPY: copy },
    });
    expect(result.stderr).toBe('');
    const [error = '', ...rest] = result.stdout.split('\n').filter((line) => !line.startsWith('tensor '));
    expect(error).toMatch(
      /^error InputError write file '.*model-0000\d-of-\d+\.safetensors': ENOSPC.*free some space, then resume$/,
    );
    expect(rest).toContain(JOURNAL_FILE);
    expect(rest.slice(0, -2)).not.toContain('config.json');
    expect(rest.at(-2)).toBe('finished');
    const undisturbed = `${output}-undisturbed`;
    return writeRoundToNearest(MODEL, undisturbed, { maxShardBytes: 50_000 }).then(() =>
      expect(contents(copy)).toEqual(contents(undisturbed)),
    );
  });
});
