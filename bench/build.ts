/**
 * Throughput and memory of building a mix: a generated multilingual JSONL is read, identified, cleaned, rendered,
 * tokenized, cut and drawn from, and the mix is written; beside it the tokenizer alone on the same text and cores.
 *
 *   npm run build && node --expose-gc --import tsx bench/build.ts [--megabytes 200] [--workers 2] [--model DIR]
 */
import { createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';

const { values: flags } = parseArgs({
  options: {
    megabytes: { type: 'string', default: '200' },
    workers: { type: 'string', default: String(availableParallelism()) },
    model: { type: 'string', default: 'test/models/polyglot-moe-18m' },
    tokens: { type: 'string', default: '2000000' },
  },
});
const workers = Number(flags.workers);
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

/** @param plain the library's tokenizer as it comes, without src/text/fast-merges.ts */
async function tokenizeOnly(
  path: string,
  plain: boolean,
): Promise<{ seconds: number; megabytes: number; tokens: number }> {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    (async () => {
      const { loadTokenizer } = await import(workerData.module);
      const { Tokenizer } = await import(workerData.library);
      const json = () => JSON.parse(require('node:fs').readFileSync(workerData.model + '/tokenizer.json', 'utf8'));
      const library = workerData.plain ? new Tokenizer(json(), {}) : null;
      const tokenizer = library === null ? await loadTokenizer(workerData.model) : { encode: (text) => library.encode(text, { add_special_tokens: false }).ids };
      const texts = workerData.texts;
      let bytes = 0, tokens = 0;
      const started = performance.now();
      for (const text of texts) { bytes += Buffer.byteLength(text); tokens += tokenizer.encode(text).length; }
      parentPort.postMessage({ seconds: (performance.now() - started) / 1000, bytes, tokens });
    })();`;
  // A tenth of the rows, spread evenly: the rate is what counts.
  const lines = (await readFile(path, 'utf8'))
    .trim()
    .split('\n')
    .filter((_, index) => index % 10 === 0);
  const texts = lines.map((line) =>
    rowSchema
      .parse(JSON.parse(line))
      .messages.map(({ content, reasoning_content }) => `${reasoning_content ?? ''}${content ?? ''}`)
      .join('\n'),
  );
  const module = new URL('../dist/text/load-tokenizer.js', import.meta.url).href;
  const results = await Promise.all(
    Array.from({ length: workers }, (_, lane) => {
      const workerData = {
        module,
        library: import.meta.resolve('@huggingface/tokenizers'),
        plain,
        model: flags.model,
        texts: texts.filter((__, index) => index % workers === lane),
      };
      return new Promise<{ seconds: number; bytes: number; tokens: number }>((resolve, reject) => {
        new Worker(source, { eval: true, workerData }).on('message', resolve).on('error', reject);
      });
    }),
  );
  const seconds = Math.max(...results.map((result) => result.seconds));
  return {
    seconds,
    megabytes: results.reduce((sum, { bytes }) => sum + bytes, 0) / 1e6,
    tokens: results.reduce((sum, result) => sum + result.tokens, 0),
  };
}

const { buildMix } = await import('../dist/mix/build.js');
const { writeMix } = await import('../dist/mix/write.js');
const { readSource } = await import('../dist/data/read-source.js');
const { loadTokenizer } = await import('../dist/text/load-tokenizer.js');
const { loadChatTemplate } = await import('../dist/text/chat-template.js');

const folder = await mkdtemp(join(tmpdir(), 'evenkeel-bench-'));
try {
  const path = join(folder, 'corpus.jsonl');
  await writeCorpus(path, Number(flags.megabytes) * 1e6);
  const { size } = await stat(path);
  console.log(`corpus: ${(size / 1e6).toFixed(0)} MB; workers: ${workers}`);
  const clean = {
    exactDuplicates: 'drop',
    nearDuplicates: 'drop',
    nearDuplicateSimilarity: 0.85,
    degenerate: 'drop',
    replacementCharacters: 'drop',
    secrets: 'drop',
    contamination: 'off',
    languages: 'report',
  } as const;
  const shared = { modelVocabularySize: 16_384, sequenceLength: 2048, overflow: 'window' as const, clean };
  const plan = {
    ...shared,
    tokenizer: flags.model,
    model: flags.model,
    templateFile: null,
    templateArguments: {},
    template: null,
    date: null,
    contamination: null,
  };
  const tokenizer = await loadTokenizer(flags.model);
  const started = performance.now();
  const cpuStarted = process.cpuUsage();
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
  let nextMark = 0.25;
  let read = 0;
  let tokens = 0;
  let built;
  for (;;) {
    const next = await generator.next();
    peak = Math.max(peak, process.memoryUsage.rss());
    if (next.done === true) {
      built = next.value;
      break;
    }
    if (next.value.type !== 'progress') continue;
    ({ read, tokens } = next.value);
    const share = read / (size / 6100);
    if (share < nextMark) continue;
    nextMark += 0.25;
    console.log(
      `  ${read} rows: resident ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB after ${((performance.now() - started) / 1000).toFixed(1)} s`,
    );
  }
  await writeMix(join(folder, 'mix'), built, tokenizer);
  const seconds = (performance.now() - started) / 1000;
  const cpu = process.cpuUsage(cpuStarted);
  const cpuSeconds = (cpu.user + cpu.system) / 1e6;
  const dropped = built.manifest.sources[0]?.dropped;
  console.log(
    `build: ${seconds.toFixed(1)} s, ${(size / 1e6 / seconds).toFixed(2)} MB/s, ${read} rows, ${tokens} tokens, peak resident ${(peak / 1e6).toFixed(0)} MB`,
    dropped,
  );
  for (const plain of [false, true]) {
    const aloneStarted = process.cpuUsage();
    const alone = await tokenizeOnly(path, plain);
    const aloneCpu = process.cpuUsage(aloneStarted);
    const rate = alone.tokens / alone.seconds;
    const perCpu = alone.tokens / ((aloneCpu.user + aloneCpu.system) / 1e6);
    console.log(
      `${plain ? '@huggingface/tokenizers as it comes' : 'our tokenizer alone'}: ${(alone.megabytes / alone.seconds).toFixed(2)} MB/s of text, ` +
        `${(rate / 1e6).toFixed(3)} M tokens/s; the build reaches ${((100 * tokens) / seconds / rate).toFixed(0)} % of it by the clock, ` +
        `${((100 * tokens) / cpuSeconds / perCpu).toFixed(0)} % by processor time (${cpuSeconds.toFixed(0)} s)`,
    );
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
