/**
 * How well the beginnings of sequences foretell what the whole of them routes, on a real model: time of the pass, share of
 * cells whose truth the 95 % interval holds, median relative error, and cells judged wrongly against the floor.
 * Run: node --import tsx bench/prefix.ts [model folder] [dataset…]
 */
import { readSequences } from '../src/cli/samples.js';
import { choosePilot, estimateFromPrefixes, judgeFloor, prefixesOf } from '../src/coverage/prefix.js';
import { medianOf } from '../src/coverage/balance-metrics.js';
import type { SparseCounts } from '../src/mix/balance-counts.js';
import { addCounts } from '../src/mix/balance-counts.js';
import type { Sequence } from '../src/mix/sequence.js';
import { auditSequences } from '../src/pipeline/audit.js';

const [, , model = 'test/models/polyglot-moe-18m', ...sets] = process.argv;
const DATASETS = sets.length > 0 ? sets : ['builtin:multilingual-dialogues', 'builtin:coding-agent'];
const FLOOR = 2048;
const PILOT = 60;

const sequences = (await Promise.all(DATASETS.map((path) => readSequences(path, model, 512)))).flatMap(
  (mix) => mix.sequences,
);
const lengths = lengthsOf(sequences);
const whole = await count(sequences);
const truth = totals(whole.counts);
console.log(
  `${sequences.length} sequences, ${lengths.reduce((a, b) => a + b, 0)} tokens; the whole pass: ${whole.seconds.toFixed(1)} s of processor`,
);
const pilot = choosePilot(sequences.length, PILOT, 1);
const wholePilot = await count(pilot.map((index) => sequences[index]!));
console.log(`a pilot of ${PILOT} whole sequences: ${wholePilot.seconds.toFixed(1)} s of processor`);
for (const tokens of [32, 64, 128]) {
  const prefixes = prefixesOf(sequences, tokens);
  const { counts, seconds } = await count(prefixes);
  const sample = { prefixes: counts, run: lengthsOf(prefixes), lengths, pilot, whole: wholePilot.counts };
  const estimates = estimateFromPrefixes(sample);
  const held = truth.filter((routed, cell) => estimates.low[cell]! <= routed && routed <= estimates.high[cell]!).length;
  const errors = truth.map((routed, cell) => Math.abs(estimates.routed[cell]! - routed) / Math.max(1, routed)).sort();
  const wrong = truth.filter(
    (routed, cell) =>
      (estimates.low[cell]! >= FLOOR && routed < FLOOR) || (estimates.high[cell]! < FLOOR && routed >= FLOOR),
  ).length;
  const { open } = judgeFloor(estimates, FLOOR);
  console.log(
    `first ${String(tokens).padStart(3)}: ${seconds.toFixed(1)} s of processor; interval holds ${((held / truth.length) * 100).toFixed(0)} % of cells; ` +
      `error median ${(medianOf(errors) * 100).toFixed(1)} %, largest ${((errors.at(-1) ?? 0) * 100).toFixed(0)} %; ` +
      `against a floor of ${FLOOR}: ${open} open, ${wrong} judged wrongly`,
  );
}

async function count(list: readonly Sequence[]): Promise<{ counts: SparseCounts; seconds: number }> {
  const start = process.cpuUsage();
  const audit = auditSequences({ model, sequences: list, floor: 64, perSequence: true });
  for (;;) {
    const next = await audit.next();
    if (next.done !== true) continue;
    const { user, system } = process.cpuUsage(start);
    return { counts: next.value.counter.sparseCounts(), seconds: (user + system) / 1e6 };
  }
}

function totals(counts: SparseCounts): Float64Array {
  const has = new Float64Array(counts.cellCount);
  for (let i = 0; i < counts.sequences; i++) addCounts(counts, has, i);
  return has;
}

function lengthsOf(list: readonly Sequence[]): number[] {
  return list.map(({ inputIds }) => inputIds.length);
}
