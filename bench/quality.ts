/**
 * What each part of the quantizer is worth on the shipped model: held-out KL per variant, over seeds.
 *
 *     npm run build && npx tsx bench/quality.ts [--seeds 5] [--tokens 49152] [--only NAME,…]
 *
 * Each seed splits the rows of the dialogue, tool and prose sets in two halves of their own: one calibrates, the other is
 * held out, so that the text measured on is of the same kind and never seen. Prints a Markdown table.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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
  },
});
const MODEL = 'test/models/polyglot-moe-18m';
const SETS = ['multilingual-dialogues', 'tool-calling', 'languages', 'coding-agent', 'terminal-agent'];
const HELD_OUT_TOKENS = 16_384;

const plain: Partial<QuantizeRecipe> = { rounding: 'nearest', clip: false, signedScales: false };
const VARIANTS: Readonly<Record<string, Partial<QuantizeRecipe>>> = {
  'AWQ search alone': plain,
  '+ clip': { ...plain, clip: true },
  '+ signed scales': { rounding: 'nearest' },
  '+ error feedback, refit, no sweeps': { followDrift: false, sweeps: 0 },
  '+ 4 sweeps of descent': { followDrift: false },
  '… routed experts only (κ = 0)': { followDrift: false, experts: 'routed' },
  '… all experts alike (κ = ∞)': { followDrift: false, experts: 'all' },
  '+ drift followed, residual repaid': { followDrift: true },
  'asymmetric, nearest': { rounding: 'nearest', scheme: { bits: 4, symmetric: false, groupSize: 128 } },
  'asymmetric, error feedback and descent': {
    followDrift: false,
    scheme: { bits: 4, symmetric: false, groupSize: 128 },
  },
  'asymmetric, drift followed': { followDrift: true, scheme: { bits: 4, symmetric: false, groupSize: 128 } },
};

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
const results = new Map<string, { kl: number; worse: number; languages: number; seconds: number }[]>();
const only = values.only?.split(',');
for (let seed = 0; seed < Number(values.seeds); seed++) {
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
    }));
    const seconds = (performance.now() - started) / 1000;
    const { symmetric } = settings.scheme;
    const contenders = [
      { kind: 'folder', name, directory: output } as const,
      ...(baselines.has(symmetric) ? [] : [{ kind: 'round-to-nearest', name: 'rounded', settings } as const]),
    ];
    let groups: Record<string, { kl: number }> = {};
    let kl = 0;
    for await (const event of evaluateModels({ model: MODEL, contenders, sequences: heldOut })) {
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
rmSync(folder, { recursive: true });
checkpoint.close();

function record(name: string, kl: number, worse: number, languages: number, seconds: number): void {
  const runs = results.get(name) ?? [];
  runs.push({ kl, worse, languages, seconds });
  results.set(name, runs);
  process.stderr.write(`${name}: ${(1000 * kl).toFixed(1)} (${seconds.toFixed(1)} s)\n`);
}

console.log(
  `\n| variant | KL ×10⁻³ nats/token, mean of ${values.seeds} seeds | 95 % | languages worse than rounding | seconds |`,
);
console.log('|---|--:|--:|--:|--:|');
for (const [name, runs] of results) {
  const mean = runs.reduce((sum, { kl }) => sum + kl, 0) / runs.length;
  const deviation = Math.sqrt(runs.reduce((sum, { kl }) => sum + (kl - mean) ** 2, 0) / Math.max(1, runs.length - 1));
  const margin = runs.length < 2 ? NaN : (tQuantile(runs.length - 1) * deviation) / Math.sqrt(runs.length);
  const seconds = runs.map((run) => run.seconds).toSorted((a, b) => a - b)[Math.floor(runs.length / 2)]!;
  const worse = runs.reduce((sum, run) => sum + run.worse, 0);
  const languages = runs.reduce((sum, run) => sum + run.languages, 0);
  console.log(
    `| ${name} | ${(1000 * mean).toFixed(1)} | ±${(1000 * margin).toFixed(1)} | ${languages === 0 ? '' : `${worse} of ${languages}`} | ${seconds === 0 ? '' : seconds.toFixed(1)} |`,
  );
}

/** Two-sided 95 % quantile of Student's t. */
function tQuantile(degrees: number): number {
  return [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262][degrees - 1] ?? 1.96;
}
