/**
 * Held-out divergence after quantizing with equally large mixes chosen at random, by language quota, and by expert
 * balance, five seeds each: mean KL over languages and its spread over seeds, cells under 64, sigma.
 * Run: node --import tsx bench/balance-quality.ts [tokens] [seeds] [model folder]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../src/checkpoint/open.js';
import { readSequences } from '../src/cli/samples.js';
import { evaluateModels } from '../src/engine/evaluate.js';
import type { Evaluation } from '../src/evaluate/summary.js';
import { selectBalanced, type BalanceOptions, type Selection } from '../src/mix/balance.js';
import { selectByQuota, selectRandom } from '../src/mix/balance-baselines.js';
import type { Sequence } from '../src/mix/sequence.js';
import { auditSequences } from '../src/pipeline/audit.js';
import { runQuantization } from '../src/pipeline/quantize.js';
import { quantizeSettings } from '../src/pipeline/settings.js';
import { loadRecipe } from '../src/recipe/load.js';

const [, , budgetText = '8192', seedText = '5', model = 'test/models/polyglot-moe-18m'] = process.argv;
const [budget, seeds] = [Number(budgetText), Number(seedText)];
// The demo's settings, which are the defaults.
const { quantize: recipe } = await loadRecipe('recipes/demo.yaml');
if (recipe === null) throw new Error('the demo recipe quantizes nothing');
const checkpoint = openCheckpoint(model);
const SETTINGS = quantizeSettings(recipe, checkpoint);
checkpoint.close();
const METHODS: Record<string, (options: BalanceOptions) => Selection> = {
  random: selectRandom,
  quota: selectByQuota,
  balanced: (options) => selectBalanced({ ...options, multiple: 4, fill: {} }),
};

const pool = (
  await Promise.all(
    ['builtin:multilingual-dialogues', 'builtin:coding-agent', 'builtin:terminal-agent'].map((path) =>
      readSequences(path, model, 512),
    ),
  )
).flatMap(({ sequences }) => sequences);
const heldOut = (await readSequences('builtin:languages', model, 512)).sequences.filter(({ window }) => window === 0);
const { counter } = await last(auditSequences({ model, sequences: pool, floor: 64, perSequence: true }));
const counts = counter.sparseCounts();
const candidates = pool.map(({ inputIds, language, category }) => ({ tokens: inputIds.length, language, category }));

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-balance-'));
try {
  const coverage = new Map<string, string>();
  const contenders: { kind: 'folder'; name: string; directory: string }[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    for (const [method, select] of Object.entries(METHODS)) {
      const { chosen } = select({ candidates, counts, budget, floor: 64, seed });
      const name = `${method} ${seed}`;
      const directory = join(folder, name);
      const outcome = await quantize(
        chosen.map(({ index }) => pool[index]!),
        directory,
      );
      const { underFloor, min, sigma } = outcome.coverage.summary;
      coverage.set(name, `${underFloor} cells under 64, least ${min}, sigma ${sigma.toFixed(4)}`);
      contenders.push({ kind: 'folder', name, directory });
    }
  }
  const evaluations = new Map<string, Evaluation>();
  for await (const event of evaluateModels({
    model,
    contenders: [...contenders, { kind: 'round-to-nearest', name: 'nearest', settings: SETTINGS }],
    sequences: heldOut,
  })) {
    if (event.kind !== 'compared') continue;
    evaluations.set(event.contender, event.evaluation);
    const { kl, klCi95 } = event.evaluation.mean;
    const interval = klCi95.map((value) => (value * 1000).toFixed(1)).join('–');
    console.log(
      `${event.contender.padEnd(12)} KL ${(kl * 1000).toFixed(2)} (${interval}) ×10⁻³; ${coverage.get(event.contender) ?? ''}`,
    );
  }
  console.log(`\n${budget} tokens, ${seeds} seeds, ${heldOut.length} held-out languages; KL ×10⁻³ nats per token`);
  for (const method of Object.keys(METHODS)) {
    const means = runs(method).map(({ mean }) => mean.kl * 1000);
    const worse = runs(method).map(({ groups }) => {
      const nearest = evaluations.get('nearest')!.groups;
      return Object.entries(groups).filter(([name, { kl }]) => kl > nearest[name]!.kl).length;
    });
    console.log(
      `${method.padEnd(9)} mean ${average(means).toFixed(2)} ± ${spread(means).toFixed(2)} (standard error over seeds), languages worse ` +
        `than nearest: ${average(worse).toFixed(1)}`,
    );
  }
  const languages = Object.keys(evaluations.get('nearest')!.groups);
  const wins = languages.filter(
    (name) =>
      average(runs('balanced').map(({ groups }) => groups[name]!.kl)) <
      average(runs('random').map(({ groups }) => groups[name]!.kl)),
  );
  console.log(`balanced is below random in ${wins.length} of ${languages.length} languages`);

  function runs(method: string): Evaluation[] {
    return Array.from({ length: seeds }, (_, i) => evaluations.get(`${method} ${i + 1}`)!);
  }
} finally {
  rmSync(folder, { recursive: true });
}

function quantize(sequences: readonly Sequence[], output: string) {
  return last(runQuantization({ model, sequences, settings: SETTINGS, floor: 64, output, existing: 'replace' }));
}

async function last<Event, Result>(run: AsyncGenerator<Event, Result>): Promise<Result> {
  for (;;) {
    const next = await run.next();
    if (next.done === true) return next.value;
  }
}

function average(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

/** Standard error of the mean. */
function spread(values: readonly number[]): number {
  const mean = average(values);
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1);
  return Math.sqrt(variance / values.length);
}
