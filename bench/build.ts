/**
 * Throughput and memory of building a mix: a generated multilingual JSONL is read, identified, cleaned, rendered,
 * tokenized, cut and drawn from, and the mix is written. Two sizes, because memory must not grow with the input.
 *
 * With --ratios, beside it, on the same text and cores: the library's tokenizer alone, the build with that tokenizer in
 * it, and our tokenizer alone. Processor time is compared, as other work on the machine stretches the clock.
 *
 *   npm run build && node --import tsx bench/build.ts [--megabytes 200,400] [--workers 2] [--model DIR] [--ratios]
 */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';

const { values: flags } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '200,400' },
    workers: { type: 'string', default: String(availableParallelism()) },
    model: { type: 'string', default: 'test/models/polyglot-moe-18m' },
    tokens: { type: 'string', default: '500000' },
    ratios: { type: 'boolean', default: false },
  },
});
const workers = Number(flags.workers);

/** The library's tokenizer is measured on so many megabytes of the rows: enough that loading it weighs little. */
const PLAIN_MEGABYTES = 80;

const rowSchema = z.object({
  language: z.string(),
  messages: z.array(
    z.object({ role: z.string(), content: z.string().nullable(), reasoning_content: z.string().nullish() }),
  ),
});

/** mulberry32: the corpus is the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Conversations of 2 to 8 turns; each turn is made of the built-in rows' own words of one language, in an order no other
 * row has, so that n-grams are natural, nothing repeats, and caches of words help as much as they do on real text.
 */
async function writeCorpus(path: string, bytes: number): Promise<number> {
  const sentences = new Map<string, string[]>();
  for (const name of ['languages', 'multilingual-dialogues']) {
    for (const line of (await readFile(`datasets/${name}/${name}.jsonl`, 'utf8')).trim().split('\n')) {
      const row = rowSchema.parse(JSON.parse(line));
      const words = row.messages.flatMap(({ content }) => (content ?? '').match(/\S+(?:\s+\S+){0,3}\s*/gu) ?? []);
      sentences.set(row.language, [...(sentences.get(row.language) ?? []), ...words]);
    }
  }
  const languages = [...sentences.keys()];
  const next = random(7);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const file = createWriteStream(path);
  let written = 0;
  for (let number = 0; written < bytes; number++) {
    const language = pick(languages);
    const words = sentences.get(language) ?? [];
    // Without replacement: no row says a thing twice, as the gates against loops would notice.
    const order = words.map((word) => ({ word, at: next() })).sort((a, b) => a.at - b.at);
    const turn = () =>
      order
        .splice(0, 20 + Math.floor(next() * 60))
        .map(({ word }) => word)
        .join(' ')
        .replaceAll(/ {2,}/gu, ' ');
    const messages = Array.from({ length: 2 * (1 + Math.floor(next() * 4)) }, (_, index) =>
      index % 2 === 0
        ? { role: 'user', content: turn() }
        : { role: 'assistant', reasoning_content: next() < 0.3 ? turn() : null, content: turn() },
    );
    const line = `${JSON.stringify({ id: String(number), language, messages })}\n`;
    written += Buffer.byteLength(line);
    if (!file.write(line)) await new Promise<void>((resolve) => file.once('drain', () => resolve()));
  }
  file.end();
  await finished(file);
  return written;
}

const TOKENIZE = `
  const { parentPort, workerData } = require('node:worker_threads');
  (async () => {
    const { loadTokenizer } = await import(workerData.module);
    const tokenizer = await loadTokenizer(workerData.model, workerData.plain);
    // A build of hundreds of megabytes is warm all but its first seconds, so what it is compared with is, too.
    for (const text of workerData.warmUp) tokenizer.encode(text);
    parentPort.once('message', () => {
      let tokens = 0;
      for (const text of workerData.texts) tokens += tokenizer.encode(text).length;
      parentPort.postMessage(tokens);
    });
    parentPort.postMessage('ready');
  })();`;

/**
 * Megabytes of text that a tokenizer alone encodes in a second of processor time, on as many threads as the build. Loading
 * it and warming up do not count.
 */
async function tokenizerRate(texts: readonly string[], plain: boolean): Promise<number> {
  const lanes = Math.max(workers, 1);
  const threads = Array.from({ length: lanes }, (_, lane) => {
    const own = texts.filter((__, index) => index % lanes === lane);
    const workerData = {
      module: new URL('../dist/text/load-tokenizer.js', import.meta.url).href,
      plain,
      model: flags.model,
      warmUp: own.slice(0, Math.ceil(own.length / 5)),
      texts: own,
    };
    return new Worker(TOKENIZE, { eval: true, workerData });
  });
  await Promise.all(threads.map((thread) => once(thread, 'message')));
  const started = process.cpuUsage();
  await Promise.all(
    threads.map(async (thread) => {
      thread.postMessage('go');
      await once(thread, 'message');
    }),
  );
  const seconds = secondsSince(started);
  await Promise.all(threads.map((thread) => thread.terminate()));
  return megabytesOf(texts) / seconds;
}

function secondsSince(started: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(started);
  return (user + system) / 1e6;
}

function megabytesOf(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) / 1e6;
}

/** What a row says, as the tokenizer alone is given it. */
function textOf(line: string): string {
  return rowSchema
    .parse(JSON.parse(line))
    .messages.map(({ content, reasoning_content }) => `${reasoning_content ?? ''}${content ?? ''}`)
    .join('\n');
}

const { buildMix } = await import('../dist/mix/build.js');
const { writeMix } = await import('../dist/mix/write.js');
const { readSource } = await import('../dist/data/read-source.js');
const { loadTokenizer } = await import('../dist/text/load-tokenizer.js');
const { loadChatTemplate } = await import('../dist/text/chat-template.js');

const CLEAN = {
  exactDuplicates: 'drop',
  nearDuplicates: 'drop',
  nearDuplicateSimilarity: 0.85,
  degenerate: 'drop',
  replacementCharacters: 'drop',
  secrets: 'drop',
  contamination: 'off',
  languages: 'report',
} as const;

interface Built {
  readonly rows: number;
  readonly tokens: number;
  readonly seconds: number;
  readonly cpuSeconds: number;
  /** Resident, in bytes. */
  readonly peak: number;
  readonly dropped: Readonly<Record<string, number>>;
}

async function build(path: string, output: string, plainTokenizer: boolean): Promise<Built> {
  const started = performance.now();
  const cpuStarted = process.cpuUsage();
  const shared = { modelVocabularySize: 16_384, sequenceLength: 2048, overflow: 'window' as const, clean: CLEAN };
  const plan = {
    ...shared,
    tokenizer: flags.model,
    plainTokenizer,
    model: flags.model,
    templateFile: null,
    templateArguments: {},
    template: null,
    date: null,
    contamination: null,
  };
  const tokenizer = await loadTokenizer(flags.model, plainTokenizer);
  const generator = buildMix(readSource({ dataset: path }, { seed: 1 }), {
    ...shared,
    tokenizer,
    chatTemplate: await loadChatTemplate(flags.model),
    tokens: Number(flags.tokens),
    sourceWeights: new Map(),
    languageWeights: new Map(),
    seed: 1,
    version: 'bench',
    wanted: new Map(),
    ...(workers === 0 ? {} : { workers: { count: workers, plan } }),
  });
  let peak = 0;
  const watch = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 20);
  let [rows, tokens] = [0, 0];
  for (;;) {
    const next = await generator.next();
    if (next.done === true) {
      await writeMix(output, next.value, tokenizer);
      peak = Math.max(peak, process.memoryUsage.rss());
      clearInterval(watch);
      return {
        rows,
        tokens,
        seconds: (performance.now() - started) / 1000,
        cpuSeconds: secondsSince(cpuStarted),
        peak,
        dropped: next.value.manifest.sources[0]?.dropped ?? {},
      };
    }
    if (next.value.type === 'progress') ({ read: rows, tokens } = next.value);
  }
}

async function measure(megabytes: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'));
  try {
    const path = join(folder, 'corpus.jsonl');
    const bytes = await writeCorpus(path, megabytes * 1e6);
    const built = await build(path, join(folder, 'mix'), false);
    console.log(
      `${(bytes / 1e6).toFixed(0)} MB, ${built.rows} rows, ${(built.tokens / 1e6).toFixed(1)} M tokens: ` +
        `${built.seconds.toFixed(1)} s on ${workers} workers, ${(bytes / 1e6 / built.seconds).toFixed(1)} MB/s, ` +
        `${built.cpuSeconds.toFixed(1)} s of processor time, peak resident ${(built.peak / 1e6).toFixed(0)} MB`,
      built.dropped,
    );
    if (!flags.ratios) return;
    const lines = (await readFile(path, 'utf8')).trim().split('\n');
    const all = lines.map(textOf);
    const rate = megabytesOf(all) / built.cpuSeconds;
    const every = Math.max(1, Math.round(megabytes / PLAIN_MEGABYTES));
    const part = lines.filter((_, index) => index % every === 0);
    const texts = part.map(textOf);
    const smaller = join(folder, 'part.jsonl');
    await writeFile(smaller, `${part.join('\n')}\n`);
    const ours = await tokenizerRate(texts, false);
    const library = await tokenizerRate(texts, true);
    const plain = await build(smaller, join(folder, 'mix'), true);
    const plainRate = megabytesOf(texts) / plain.cpuSeconds;
    const percent = (share: number) => `${(100 * share).toFixed(0)} %`;
    console.log(
      `  megabytes of text in a second of processor time: the build ${rate.toFixed(2)}\n` +
        `  @huggingface/tokenizers alone ${library.toFixed(2)}: the build reaches ${percent(rate / library)} of it\n` +
        `  and with that tokenizer in the build as well ${plainRate.toFixed(2)}: ${percent(plainRate / library)}\n` +
        `  our tokenizer alone ${ours.toFixed(2)}: the build reaches ${percent(rate / ours)}`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

// A process of its own for every size: what one left resident is no memory of the next.
const sizes = flags.megabytes.split(',').map(Number);
if (sizes.length === 1) await measure(sizes[0] ?? 0);
else {
  for (const size of sizes) {
    const args = [
      ...process.execArgv,
      fileURLToPath(import.meta.url),
      ...process.argv.slice(2),
      '--megabytes',
      `${size}`,
    ];
    const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
    if (status !== 0) process.exit(status ?? 1);
  }
}
