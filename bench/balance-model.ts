/**
 * Balanced selection against random and quota-only selection on a real model: tokens until every cell that the pool can
 * feed is at the floor, and what an equal budget buys. Pool: the built-in sets in windows of 512 tokens.
 * Run: node --import tsx bench/balance-model.ts [model folder] [dataset…]
 */
import { readSequences } from '../src/cli/samples.js';
import { balanceOf } from '../src/coverage/balance-metrics.js';
import { selectBalanced, type BalanceOptions, type Selection } from '../src/mix/balance.js';
import { selectByQuota, selectRandom } from '../src/mix/balance-baselines.js';
import { addCounts } from '../src/mix/balance-counts.js';
import { auditSequences, type AuditResult } from '../src/pipeline/audit.js';

const [, , model = 'test/models/polyglot-moe-18m', ...sets] = process.argv;
const DATASETS =
  sets.length > 0 ? sets : ['builtin:multilingual-dialogues', 'builtin:coding-agent', 'builtin:terminal-agent'];
const SEEDS = [1, 2, 3, 4, 5];
const FLOORS = [64, 256, 1024];
const BUDGETS = [2048, 4096, 8192];

const sequences = (await Promise.all(DATASETS.map((path) => readSequences(path, model, 512)))).flatMap(
  (mix) => mix.sequences,
);
const pass = auditSequences({ model, sequences, floor: 64, perSequence: true });
const { coverage, counter } = await finish(pass);
const counts = counter.sparseCounts();
const candidates = sequences.map(({ inputIds, language, category }) => ({
  tokens: inputIds.length,
  language,
  category,
}));
console.log(`pool: ${sequences.length} sequences, ${coverage.tokens} tokens, ${counts.cellCount} cells of ${model}\n`);

console.log('Tokens until every cell that the pool can feed is at the floor (mean of five seeds, and the range):');
for (const floor of FLOORS) {
  const base = { candidates, counts, budget: Infinity, floor };
  const rows = {
    random: SEEDS.map((seed) => tokensToFloor(selectRandom({ ...base, seed }), floor)),
    quota: SEEDS.map((seed) => tokensToFloor(selectByQuota({ ...base, seed }), floor)),
    balanced: SEEDS.map((seed) => tokensToFloor(selectBalanced({ ...base, seed }), floor)),
  };
  for (const [name, tokens] of Object.entries(rows)) {
    const saved = 1 - mean(tokens) / mean(rows.random);
    console.log(
      `  floor ${floor} ${name.padEnd(8)} ${mean(tokens).toFixed(0).padStart(7)} (${Math.min(...tokens)}–${Math.max(...tokens)})` +
        (name === 'random' ? '' : `, ${(saved * 100).toFixed(0)} % fewer than random`),
    );
  }
}

console.log('\nEqual budget (mean of five seeds): cells under 64, least-fed cell, sigma');
const methods = {
  random: selectRandom,
  quota: selectByQuota,
  balanced: (options: BalanceOptions): Selection => selectBalanced({ ...options, multiple: 4, fill: {} }),
};
for (const budget of BUDGETS) {
  for (const [name, select] of Object.entries(methods)) {
    const runs = SEEDS.map((seed) => describe(select({ candidates, counts, budget, floor: 64, seed })));
    console.log(
      `  ${String(budget).padStart(6)} tokens ${name.padEnd(8)} ${mean(runs.map(({ under }) => under))
        .toFixed(1)
        .padStart(5)} ` +
        `${mean(runs.map(({ min }) => min))
          .toFixed(0)
          .padStart(5)} ${mean(runs.map(({ sigma }) => sigma)).toFixed(4)}`,
    );
  }
}

/** Tokens of the shortest beginning of a selection that fills all that the whole pool can fill. */
function tokensToFloor({ chosen }: Selection, floor: number): number {
  const available = new Float64Array(counts.cellCount);
  candidates.forEach((_, i) => addCounts(counts, available, i));
  const wanted = available.map((tokens) => Math.min(tokens, floor));
  const has = new Float64Array(counts.cellCount);
  let tokens = 0;
  for (const { index } of chosen) {
    addCounts(counts, has, index);
    tokens += candidates[index]!.tokens;
    if (has.every((routed, cell) => routed >= wanted[cell]!)) return tokens;
  }
  return Number.NaN;
}

function describe({ chosen }: Selection) {
  const has = new Float64Array(counts.cellCount);
  for (const { index } of chosen) addCounts(counts, has, index);
  let at = 0;
  const sigmas = coverage.layers.map(({ experts }) => balanceOf(has.subarray(at, (at += experts))).sigma);
  return { under: has.filter((routed) => routed < 64).length, min: Math.min(...has), sigma: mean(sigmas) };
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

async function finish(audit: ReturnType<typeof auditSequences>): Promise<AuditResult> {
  for (;;) {
    const next = await audit.next();
    if (next.done === true) return next.value;
  }
}
