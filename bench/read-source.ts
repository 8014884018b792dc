/**
 * Time and memory of reading a source: five million rows of Parquet in row groups of a million, all of them and a draw of
 * a thousand, and conversations as JSON Lines. Every reading runs in a process of its own.
 *
 *     npx tsx bench/read-source.ts [rows=5000000]
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { fileWriter, ParquetWriter } from 'hyparquet-writer';
import { readSource } from '../src/data/read-source.js';
import { createRandom, type Random } from '../src/data/sampling.js';

const GROUP_ROWS = 1_000_000;
const CONVERSATIONS = 100_000;

const [task = 'all', ...rest] = process.argv.slice(2);
if (task === 'measure') await measure(rest[0] ?? '', rest[1] === 'all' ? 'all' : Number(rest[1]));
else await compare(task === 'all' ? 5_000_000 : Number(task));

async function compare(rows: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'evenkeel-bench-'));
  const texts = join(folder, 'texts.parquet');
  const chats = join(folder, 'chats.jsonl');
  await writeTexts(texts, rows);
  await writeChats(chats);
  for (const [path, samples] of [
    [texts, 'all'],
    [texts, '1000'],
    [chats, 'all'],
    [chats, '1000'],
  ] as const) {
    const script = fileURLToPath(import.meta.url);
    const child = spawnSync(process.execPath, ['--import', 'tsx', script, 'measure', path, samples], {
      encoding: 'utf8',
    });
    if (child.status !== 0) throw new Error(child.stderr);
    const { seconds, read, peak }: Measured = JSON.parse(child.stdout);
    const size = statSync(path).size;
    const speed = samples === 'all' ? `, ${(size / 1e6 / seconds).toFixed(0)} MB/s` : '';
    console.log(
      `${path.slice(folder.length + 1)} (${(size / 1e6).toFixed(0)} MB), ${samples} rows: ${read} read in ${seconds.toFixed(1)} s${speed}, ` +
        `peak ${(peak / 2 ** 20).toFixed(0)} MiB`,
    );
  }
  rmSync(folder, { recursive: true });
}

interface Measured {
  readonly seconds: number;
  readonly read: number;
  readonly peak: number;
}

async function measure(dataset: string, samples: number | 'all'): Promise<void> {
  const start = performance.now();
  let read = 0;
  let peak = 0;
  for await (const sample of readSource({ dataset, samples }, { seed: 1 })) {
    if (sample.origin.recordId !== '') read++;
    if (read % 1000 === 1) peak = Math.max(peak, process.memoryUsage().rss);
  }
  const measured: Measured = {
    seconds: (performance.now() - start) / 1000,
    read,
    // Not maxRSS, which a process inherits from the one that started it.
    peak: Math.max(peak, process.memoryUsage().rss),
  };
  console.log(JSON.stringify(measured));
}

function sentence(random: Random): string {
  const words = Array.from({ length: 8 + random.below(24) }, () => random.below(50_000).toString(36));
  return words.join(' ');
}

async function writeTexts(path: string, rows: number): Promise<void> {
  const random = createRandom(1, 'texts');
  const writer = new ParquetWriter({
    writer: fileWriter(path),
    schema: [
      { name: 'root', num_children: 2 },
      { name: 'text', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
      { name: 'unused', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    ],
  });
  for (let from = 0; from < rows; from += GROUP_ROWS) {
    const data = Array.from({ length: Math.min(GROUP_ROWS, rows - from) }, () => sentence(random));
    const columnData = [
      { name: 'text', data },
      { name: 'unused', data },
    ];
    await writer.write({ columnData, rowGroupSize: GROUP_ROWS });
  }
  await writer.finish();
}

async function writeChats(path: string): Promise<void> {
  const random = createRandom(1, 'chats');
  const output = createWriteStream(path);
  for (let row = 0; row < CONVERSATIONS; row++) {
    const messages = Array.from({ length: 2 + 2 * random.below(4) }, (_, turn) => ({
      role: turn % 2 === 0 ? 'user' : 'assistant',
      content: Array.from({ length: 1 + random.below(6) }, () => sentence(random)).join('\n'),
    }));
    if (!output.write(`${JSON.stringify({ id: row, messages })}\n`)) {
      await once(output, 'drain');
    }
  }
  output.end();
  await finished(output);
}
