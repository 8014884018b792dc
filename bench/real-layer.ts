/**
 * Quantizes one layer of a published model's shape with the default settings and compares the time with the floor: the
 * operations that the method needs at the machine's own Gemm rate, measured in the same run. Processor time stands beside
 * the clock's, because other work on the machine disturbs it less.
 *
 *   npm run build && npx tsx bench/real-layer.ts [--shape qwen3|deepseek-v3] [--experts N] [--tokens N] [--length N]
 */
import { createHash } from 'node:crypto';
import { createReadStream, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseTargets } from '../src/awq/targets.js';
import { openCheckpoint } from '../src/checkpoint/open.js';
import { quantizeModel } from '../src/engine/quantize.js';
import { layerWork, totalWork, WORK_PARTS } from '../src/engine/work.js';
import { planModel } from '../src/model/registry.js';
import { quantizeSettings } from '../src/pipeline/settings.js';
import { defaultQuantize } from '../src/recipe/quantize.js';
import { estimateQuantization, gibibytes } from '../src/pipeline/estimate.js';
import { gemmRate } from './real-layer/gemm-rate.js';
import { deepseekV3, makeModel, qwen3, randomSequences } from './real-layer/model.js';
import { watchPhases } from './real-layer/phases.js';

const { values } = parseArgs({
  options: {
    shape: { type: 'string', default: 'qwen3' },
    experts: { type: 'string' },
    tokens: { type: 'string', default: '16384' },
    length: { type: 'string', default: '512' },
    lanes: { type: 'string', default: String(availableParallelism()) },
    folder: { type: 'string', default: 'out/bench' },
  },
});
const [tokens, length, lanes] = [values.tokens, values.length, values.lanes].map(Number) as [number, number, number];
const shape = (values.shape === 'deepseek-v3' ? deepseekV3 : qwen3)(
  ...(values.experts === undefined ? [] : [Number(values.experts)]),
);
const model = join(values.folder, shape.name);
const output = join(values.folder, `${shape.name}-w4a16`);
await makeModel(model, shape);

const checkpoint = openCheckpoint(model);
const settings = quantizeSettings(defaultQuantize(), checkpoint);
const plan = planModel(checkpoint);
checkpoint.close();
const work = layerWork(plan.layers[0]!, chooseTargets(plan, settings), settings, { tokens, sequenceLength: length });

const estimate = await estimateQuantization({ model, settings, tokens, sequenceLength: length, output, lanes });
const before = await gemmRate(lanes);
let peak = 0;
const sampler = setInterval(() => (peak = Math.max(peak, process.memoryUsage.rss())), 50);
const phases = watchPhases();
const cpu = process.cpuUsage();
const start = performance.now();
const run = quantizeModel({
  model,
  output,
  settings,
  sequences: randomSequences(tokens / length, length) as never,
  lanes,
  existing: 'replace',
  key: { bench: 'real-layer' },
});
let busiest = 0;
let quietest = Infinity;
for await (const event of run) {
  if (event.kind !== 'layer-finished') continue;
  for (const { tokens: own } of event.report.experts)
    [busiest, quietest] = [Math.max(busiest, own), Math.min(quietest, own)];
}
const seconds = (performance.now() - start) / 1000;
const used = process.cpuUsage(cpu);
const cpuSeconds = (used.user + used.system) / 1e6;
const spent = phases.stop();
clearInterval(sampler);
const after = await gemmRate(lanes);
const perCpuSecond = (before.perCpuSecond + after.perCpuSecond) / 2;
const perSecond = (before.perSecond + after.perSecond) / 2;
const total = totalWork(work);
const giga = (flop: number): string => (flop / 1e9).toFixed(0);
const rows: [string, string][] = [
  ['model', `${shape.name}, ${tokens} tokens of ${length}, experts see ${quietest} to ${busiest}`],
  ['GFLOP needed', giga(total)],
  ...WORK_PARTS.map((part): [string, string] => [`  ${part}`, giga(work[part])]),
  ['Gemm GFLOP/s', `${giga(perSecond)} by the clock on ${lanes} lanes, ${giga(perCpuSecond)} per processor second`],
  ['floor', `${(total / perSecond).toFixed(1)} s by the clock, ${(total / perCpuSecond).toFixed(1)} s of processor`],
  ['time', `${seconds.toFixed(1)} s by the clock, ${cpuSeconds.toFixed(1)} s of processor`],
  ...[...spent].map(([name, phase]): [string, string] => [
    `  ${name}`,
    `${phase.seconds.toFixed(1)} s, ${phase.cpuSeconds.toFixed(1)} s`,
  ]),
  [
    'times the floor',
    `${((seconds * perSecond) / total).toFixed(2)} by the clock, ${((cpuSeconds * perCpuSecond) / total).toFixed(2)} of processor`,
  ],
  ['peak memory', gibibytes(peak)],
  [
    'estimated beforehand',
    `${estimate.seconds.toFixed(1)} s by the clock, ${gibibytes(estimate.peakMemoryBytes)}, after a probe of ${estimate.probeSeconds.toFixed(1)} s`,
  ],
  [
    `${shape.layers} layers`,
    `${((shape.layers * seconds) / 60).toFixed(0)} min; ${((shape.layers * cpuSeconds) / lanes / 60).toFixed(0)} min on an idle machine`,
  ],
  ['sha256', await digest(output)],
];
process.stdout.write(`${rows.map(([name, value]) => `${name.padEnd(28)}${value}`).join('\n')}\n`);
rmSync(output, { recursive: true });

async function digest(folder: string): Promise<string> {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort())
    if (name.endsWith('.safetensors'))
      for await (const piece of createReadStream(join(folder, name))) hash.update(piece);
  return hash.digest('hex').slice(0, 16);
}
