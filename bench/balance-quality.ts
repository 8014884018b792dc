/**
 * What balanced selection is worth: mixes of equal budget chosen from one pool at random, by language quota, and greedily
 * for expert balance, several seeds each, compared before quantizing (cells under the floor, sigma) and after it (held-out
 * KL to the unquantized model, per language, with 95 % confidence intervals over seeds). Prints Markdown.
 *
 * Run: node --import tsx bench/balance-quality.ts [--seeds 5] [--tokens 8192] [--floor 64] [--multiple 4] [--model DIR]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
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
import { compareMethods, type Run } from './balance-table.js';

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '8192' },
    floor: { type: 'string', default: '64' },
    multiple: { type: 'string', default: '4' },
    model: { type: 'string', default: 'test/models/polyglot-moe-18m' },
  },
});
const { model } = values;
const [seeds, budget, floor, multiple] = [values.seeds, values.tokens, values.floor, values.multiple].map(Number) as [
  number,
  number,
  number,
  number,
];
const POOL = ['builtin:multilingual-dialogues', 'builtin:coding-agent', 'builtin:terminal-agent'];
const HELD_OUT = 'builtin:languages';
const METHODS: Record<string, (options: BalanceOptions) => Selection> = {
  random: selectRandom,
  quota: selectByQuota,
  greedy: (options) => selectBalanced({ ...options, multiple, fill: {} }),
};

// The demo's settings, which are the defaults.
const { quantize: recipe } = await loadRecipe('recipes/demo.yaml');
const checkpoint = openCheckpoint(model);
const settings = quantizeSettings(recipe, checkpoint);
checkpoint.close();

const pool = (await Promise.all(POOL.map((path) => readSequences(path, model, 512)))).flatMap(
  ({ sequences }) => sequences,
);
const heldOut = (await readSequences(HELD_OUT, model, 512)).sequences.filter(({ window }) => window === 0);
const { counter } = await last(auditSequences({ model, sequences: pool, floor, perSequence: true }));
const counts = counter.sparseCounts();
const candidates = pool.map(({ inputIds, language, category }) => ({ tokens: inputIds.length, language, category }));

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-balance-'));
try {
  const runs: Run[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    for (const [method, select] of Object.entries(METHODS)) {
      const { chosen, tokens } = select({ candidates, counts, budget, floor, seed });
      const sequences = chosen.map(({ index }) => pool[index]!);
      const started = process.cpuUsage();
      const evaluation = await quantizeAndCompare(sequences, join(folder, 'quantized'), `${method} ${seed}`);
      runs.push({ method, seed, tokens, ...evaluation });
      const { user, system } = process.cpuUsage(started);
      console.error(
        `${method} ${seed}: ${tokens} tokens, ${evaluation.coverage.underFloor} cells under ${floor}, KL ` +
          `${(evaluation.evaluation.mean.kl * 1000).toFixed(2)} ×10⁻³ (${((user + system) / 1e6).toFixed(0)} s of processor)`,
      );
    }
  }
  const nearest = await compare({ kind: 'round-to-nearest', name: 'nearest', settings });
  console.log(
    `${model}, ${budget} tokens out of ${pool.length} sequences of ${POOL.join(', ')}; seeds 1 to ${seeds}; held out: ` +
      `${heldOut.length} texts of ${HELD_OUT}. KL in 10⁻³ nats per token; intervals are 95 %, Student's over seeds.\n`,
  );
  console.log(compareMethods(runs, nearest, floor));
} finally {
  rmSync(folder, { recursive: true });
}

async function quantizeAndCompare(sequences: readonly Sequence[], directory: string, name: string) {
  const run = runQuantization({ model, sequences, settings, floor, output: directory, existing: 'replace' });
  const { coverage } = await last(run);
  return { coverage: coverage.summary, evaluation: await compare({ kind: 'folder', name, directory }) };
}

async function compare(contender: Parameters<typeof evaluateModels>[0]['contenders'][number]): Promise<Evaluation> {
  for await (const event of evaluateModels({ model, contenders: [contender], sequences: heldOut })) {
    if (event.kind === 'compared') return event.evaluation;
  }
  throw new Error(`nothing was compared with '${contender.name}'`);
}

async function last<Event, Result>(run: AsyncGenerator<Event, Result>): Promise<Result> {
  for (;;) {
    const next = await run.next();
    if (next.done === true) return next.value;
  }
}
