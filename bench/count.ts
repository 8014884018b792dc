/**
 * What an audit costs over the layer pass that it rides on: processor time of counting the very routing of a pass, over
 * the processor time of the pass, and what counting alone takes at 128 experts, top 8.
 * Run: node --import tsx bench/count.ts [model folder] [tokens] [repeats]
 */
import { readSequences } from '../src/cli/samples.js';
import { medianOf } from '../src/coverage/balance-metrics.js';
import { createCoverageCounter } from '../src/coverage/count.js';
import type { RoutingBatch } from '../src/coverage/routing.js';
import type { Sequence } from '../src/mix/sequence.js';
import { auditSequences } from '../src/pipeline/audit.js';
import { syntheticRouting, syntheticSequences } from '../test/coverage/synthetic.js';

const [, , folder = 'test/models/polyglot-moe-18m', budget = '49152', repeats = '3'] = process.argv;
const model = { path: folder, architecture: 'bench' };

const sequences: Sequence[] = [];
let taken = 0;
for (const sequence of (await readSequences('builtin:multilingual-dialogues', folder, 512)).sequences) {
  if (taken + sequence.inputIds.length > Number(budget)) break;
  sequences.push(sequence);
  taken += sequence.inputIds.length;
}
console.log(
  `${folder}, ${taken} tokens in ${sequences.length} sequences; medians of ${repeats}, processor time (user + system)`,
);
console.log('\n| counted | pass with audit, s | counting, s | extra cost over the pass |\n|---|--:|--:|--:|');
for (const perSequence of [false, true]) {
  const runs: { readonly whole: number; readonly counting: number }[] = [];
  for (let i = 0; i < Number(repeats); i++) runs.push(await measure(perSequence));
  const median = (of: (run: (typeof runs)[number]) => number): number => medianOf(runs.map(of).sort((a, b) => a - b));
  const share = median(({ whole, counting }) => counting / (whole - counting));
  console.log(
    `| ${perSequence ? 'cells, and every sequence apart' : 'cells'} | ${median(({ whole }) => whole).toFixed(2)} | ` +
      `${median(({ counting }) => counting).toFixed(3)} | ${(share * 100).toFixed(1)} % |`,
  );
}

/** A pass that counts, and the same counting again by itself. */
async function measure(perSequence: boolean) {
  const batches: RoutingBatch[] = [];
  const start = process.cpuUsage();
  const audit = auditSequences({ model: folder, sequences, floor: 64, perSequence });
  for (;;) {
    const next = await audit.next();
    if (next.done === true) break;
    if (next.value.kind === 'routing') batches.push(structuredClone(next.value.batch));
  }
  const whole = seconds(start);
  const again = process.cpuUsage();
  const counter = createCoverageCounter({ sequences, floor: 64, perSequence });
  for (const batch of batches) counter.add(batch);
  counter.finish({ model });
  if (perSequence) counter.sparseCounts();
  return { whole, counting: seconds(again) };
}

function seconds(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1e6;
}

const LAYERS = 8;
const languages = Array.from({ length: 40 }, (_, i) => `x-language${i}`);
const synthetic = syntheticSequences({ seed: 1, sequences: 192, length: 512, languages, sources: ['a', 'b', 'c'] });
const tokens = synthetic.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
const batches = Array.from({ length: LAYERS }, (_, layer) => syntheticRouting(synthetic, layer, 128, 8));
console.log('\nCounting alone, 128 experts, top 8, 40 languages:');
for (const perSequence of [false, true]) {
  const counter = createCoverageCounter({ sequences: synthetic, floor: 64, perSequence });
  const start = process.cpuUsage();
  for (const batch of batches) counter.add(batch);
  const milliseconds = (seconds(start) * 1000) / LAYERS;
  console.log(
    `${tokens} tokens a layer${perSequence ? ', sequences apart' : ''}: ${milliseconds.toFixed(1)} ms a layer, ` +
      `${((tokens * 8) / milliseconds / 1000).toFixed(0)} million choices a second`,
  );
}
