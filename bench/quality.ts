/**
 * What each part of the quantizer is worth on the shipped model: held-out KL per variant, over seeds.
 *
 *     npm run bench:quality -- [--seeds 5] [--tokens 49152] [--only NAME,…]
 *
 * Each seed splits the rows of the dialogue, tool and prose sets in two halves of their own: one calibrates, the other is
 * held out, so that the text measured on is of the same kind and never seen. Prints a Markdown table. Seeds run side by
 * side in processes of two lanes each, as many as the machine has pairs of cores.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
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

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '49152' },
    only: { type: 'string' },
    /** Runs this seed alone and prints its results as lines of JSON. */
    seed: { type: 'string' },
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
interface Result {
  readonly name: string;
  readonly kl: number;
  /** Languages with more KL than plain rounding leaves, of how many. */
  readonly worse: number;
  readonly languages: number;
  readonly seconds: number;
}

if (values.seed === undefined) {
  process.stdout.write(`${table(await allSeeds(Number(values.seeds)))}\n`);
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
      results[seed] = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Result);
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
    const started = performance.now();
    for await (const _ of runQuantization({
      model: MODEL,
      sequences: calibration,
      settings,
      floor: 64,
      output,
      existing: 'replace',
      lanes: LANES,
    }));
    const seconds = (performance.now() - started) / 1000;
    const { symmetric } = settings.scheme;
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
        record(symmetric ? 'round to nearest' : 'round to nearest, asymmetric', event.evaluation.mean.kl, 0, 0, 0);
      } else [groups, kl] = [event.evaluation.groups, event.evaluation.mean.kl];
    }
    const rounded = baselines.get(symmetric)!;
    const worse = Object.entries(groups).filter(([language, group]) => group.kl > rounded[language]!.kl).length;
    record(name, kl, worse, Object.keys(groups).length, seconds);
  }
}

function record(name: string, kl: number, worse: number, languages: number, seconds: number): void {
  process.stdout.write(`${JSON.stringify({ name, kl, worse, languages, seconds } satisfies Result)}\n`);
}

function table(results: readonly Result[]): string {
  const byName = new Map<string, Result[]>();
  for (const result of results) byName.set(result.name, [...(byName.get(result.name) ?? []), result]);
  const rows = [...byName].map(([name, runs]) => {
    const mean = runs.reduce((sum, { kl }) => sum + kl, 0) / runs.length;
    const deviation = Math.sqrt(runs.reduce((sum, { kl }) => sum + (kl - mean) ** 2, 0) / Math.max(1, runs.length - 1));
    const margin = runs.length < 2 ? NaN : (tQuantile(runs.length - 1) * deviation) / Math.sqrt(runs.length);
    const worse = runs.reduce((sum, run) => sum + run.worse, 0);
    const languages = runs.reduce((sum, run) => sum + run.languages, 0);
    const judged = languages === 0 ? '' : `${worse} of ${languages}`;
    return `| ${name} | ${(1000 * mean).toFixed(1)} | ±${(1000 * margin).toFixed(1)} | ${judged} |`;
  });
  const seeds = Math.max(...[...byName.values()].map((runs) => runs.length));
  return [
    `| variant | KL ×10⁻³ nats/token, mean of ${seeds} seeds | 95 % | languages worse than rounding |`,
    '|---|--:|--:|--:|',
    ...rows,
  ].join('\n');
}

/** Two-sided 95 % quantile of Student's t. */
function tQuantile(degrees: number): number {
  return [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262][degrees - 1] ?? 1.96;
}
