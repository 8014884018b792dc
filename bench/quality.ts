/**
 * What each part of the quantizer is worth on the shipped model: held-out KL per variant, over seeds.
 *
 *     npm run bench:quality -- [--seeds 5] [--tokens 49152] [--only NAME,…]
 *     npx tsx bench/quality.ts --seed 3 [--only NAME,…] > FILE    a part of it, as lines of JSON
 *     npx tsx bench/quality.ts --merge FILE…                      the table of such parts
 *
 * Each seed splits the rows of the dialogue, tool and prose sets in two halves of their own: one calibrates, the other is
 * held out, so that the text measured on is of the same kind and never seen. Prints a Markdown table. Seeds run side by
 * side in processes of two lanes each, as many as the machine has pairs of cores.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { openCheckpoint } from '../src/checkpoint/open.js';
import { readSource } from '../src/data/read-source.js';
import type { Sample } from '../src/data/sample.js';
import { hash32 } from '../src/data/sampling.js';
import { evaluateModels } from '../src/engine/evaluate.js';
import type { Sequence } from '../src/mix/sequence.js';
import { createPreparer } from '../src/mix/prepare.js';
import { NO_CLEANING } from '../src/mix/clean.js';
import { runQuantization } from '../src/pipeline/quantize.js';
import { quantizeSettings } from '../src/pipeline/settings.js';
import { defaultQuantize } from '../src/recipe/quantize.js';
import type { QuantizeRecipe } from '../src/recipe/recipe.js';
import { loadChatTemplate } from '../src/text/chat-template.js';
import { loadTokenizer } from '../src/text/load-tokenizer.js';
import { parseResults, qualityTable, type Result } from './quality-table.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '49152' },
    only: { type: 'string' },
    /** Runs this seed alone and prints its results as lines of JSON. */
    seed: { type: 'string' },
    /** Reads what runs with `--seed` printed and prints the table. */
    merge: { type: 'boolean', default: false },
  },
});
const MODEL = 'test/models/polyglot-moe-18m';
const SETS = ['multilingual-dialogues', 'tool-calling', 'languages', 'coding-agent', 'terminal-agent'];
const HELD_OUT_TOKENS = 16_384;
const LANES = 2;

const plain: Partial<QuantizeRecipe> = { rounding: 'nearest', clip: false, signedScales: false };
const asymmetric = { bits: 4, symmetric: false, groupSize: 128 } as const;
const VARIANTS: Readonly<Record<string, Partial<QuantizeRecipe>>> = {
  'AWQ search alone': plain,
  '+ clip': { ...plain, clip: true },
  '+ signed scales (`rounding: nearest`)': { rounding: 'nearest' },
  '+ error feedback, refit': { followDrift: false, sweeps: 0 },
  '+ 4 sweeps of descent': { followDrift: false },
  '+ drift followed (the default)': {},
  'default, 2 sweeps': { sweeps: 2 },
  'default, smoothing off': { grid: 3, mappings: [] },
  'default, routed experts only (κ = 0)': { experts: 'routed' },
  'default, κ = 1,024': { shrinkage: 1024 },
  'default, κ = 16,384': { shrinkage: 16_384 },
  'default, all experts alike (κ = ∞)': { experts: 'all' },
  'asymmetric, `rounding: nearest`': { rounding: 'nearest', scheme: asymmetric },
  'asymmetric, drift not followed': { followDrift: false, scheme: asymmetric },
  'asymmetric, default': { scheme: asymmetric },
};
const DEFAULTS = { symmetric: '+ drift followed (the default)', asymmetric: 'asymmetric, default' };

if (values.merge || values.seed === undefined) {
  const results = values.merge
    ? positionals.flatMap((path) => parseResults(readFileSync(path, 'utf8')))
    : await allSeeds(Number(values.seeds));
  process.stdout.write(`${qualityTable(results, DEFAULTS)}\n`);
  process.exit(0);
}

/** Every seed's results, each from a process of its own. */
async function allSeeds(seeds: number): Promise<Result[]> {
  const waiting = Array.from({ length: seeds }, (_, seed) => seed);
  const results: Result[][] = Array.from({ length: seeds }, () => []);
  const run = promisify(execFile);
  const work = async (): Promise<void> => {
    for (let seed = waiting.shift(); seed !== undefined; seed = waiting.shift()) {
      const own = [
        '--seed',
        `${seed}`,
        '--tokens',
        values.tokens,
        ...(values.only === undefined ? [] : ['--only', values.only]),
      ];
      const command = ['--import', 'tsx', fileURLToPath(import.meta.url), ...own];
      const { stdout } = await run(process.execPath, command, { maxBuffer: 2 ** 24 });
      results[seed] = parseResults(stdout);
      process.stderr.write(`seed ${seed} is done\n`);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, Math.floor(availableParallelism() / LANES)) }, work));
  return results.flat();
}

const tokenizer = await loadTokenizer(MODEL);
const prepare = createPreparer({
  tokenizer,
  chatTemplate: await loadChatTemplate(MODEL),
  modelVocabularySize: 16_384,
  sequenceLength: 512,
  overflow: 'window',
  clean: NO_CLEANING,
  contamination: null,
});
const samples: Sample[] = [];
for (const set of SETS)
  for await (const sample of readSource({ dataset: `builtin:${set}` }, { seed: 0 })) samples.push(sample);

/** Rows of one half, in an order of the seed's, cut off at a number of tokens. */
function half(seed: number, side: 0 | 1, budget: number): Sequence[] {
  const rank = ({ origin }: Sample): number => hash32(`${seed} ${origin.source} ${origin.recordId}`);
  const own = samples.filter((sample) => rank(sample) % 2 === side).toSorted((a, b) => rank(a) - rank(b));
  const windows = own.map((sample) => prepare(sample).sequences);
  const sequences: Sequence[] = [];
  let left = budget;
  // One window of every row before a second of any: all languages are there however small the budget.
  for (let window = 0; left > 0 && windows.some((all) => all.length > window); window++) {
    for (const all of windows) {
      const sequence = all[window];
      if (sequence === undefined || sequence.inputIds.length > left) continue;
      left -= sequence.inputIds.length;
      sequences.push(sequence);
    }
  }
  return sequences;
}

const checkpoint = openCheckpoint(MODEL);
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-quality-'));
await measure(Number(values.seed));
rmSync(folder, { recursive: true });
checkpoint.close();

async function measure(seed: number): Promise<void> {
  const only = values.only?.split(',');
  const calibration = half(seed, 0, Number(values.tokens));
  const heldOut = half(seed, 1, HELD_OUT_TOKENS);
  const baselines = new Map<boolean, Record<string, { kl: number }>>();
  for (const [name, changes] of Object.entries(VARIANTS)) {
    if (only !== undefined && !only.some((part) => name.includes(part))) continue;
    const settings = quantizeSettings({ ...defaultQuantize(), ...changes }, checkpoint);
    const output = join(folder, 'checkpoint');
    for await (const _ of runQuantization({
      model: MODEL,
      sequences: calibration,
      settings,
      floor: 64,
      output,
      existing: 'replace',
      lanes: LANES,
    }));
    const { symmetric } = settings.scheme;
    const run = { seed, symmetric, tokens: Number(values.tokens) };
    const contenders = [
      { kind: 'folder', name, directory: output } as const,
      ...(baselines.has(symmetric) ? [] : [{ kind: 'round-to-nearest', name: 'rounded', settings } as const]),
    ];
    let groups: Record<string, { kl: number }> = {};
    let kl = 0;
    for await (const event of evaluateModels({ model: MODEL, contenders, sequences: heldOut, lanes: LANES })) {
      if (event.kind !== 'compared') continue;
      if (event.contender === 'rounded') {
        baselines.set(symmetric, event.evaluation.groups);
        const rounding = symmetric ? 'round to nearest' : 'round to nearest, asymmetric';
        record({ ...run, name: rounding, kl: event.evaluation.mean.kl, worse: 0, languages: 0 });
      } else [groups, kl] = [event.evaluation.groups, event.evaluation.mean.kl];
    }
    const rounded = baselines.get(symmetric)!;
    const worse = Object.entries(groups).filter(([language, group]) => group.kl > rounded[language]!.kl).length;
    record({ ...run, name, kl, worse, languages: Object.keys(groups).length });
  }
}

function record(result: Result): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
