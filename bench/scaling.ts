/**
 * Time and memory of quantization by number of calibration tokens, or by number of experts (a layer of Qwen3-30B-A3B's
 * shape, 16,384 tokens), each run in a process of its own, beside what was estimated beforehand. Processor time stands
 * beside the clock's, because other work on the machine disturbs it less.
 *
 *   npm run build && npx tsx bench/scaling.ts [--model DIR] [--tokens 4096,8192,…] [--length 512] [--memory GIB]
 *   npm run build && npx tsx bench/scaling.ts --experts 16,32,64,128
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '../src/checkpoint/open.js';
import { estimateQuantization } from '../src/pipeline/estimate.js';
import { quantizeSettings } from '../src/pipeline/settings.js';
import { defaultQuantize } from '../src/recipe/quantize.js';
import { childCommand } from '../test/engine/quantize-process.js';
import { makeModel, qwen3 } from './real-layer/model.js';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'test/models/polyglot-moe-18m' },
    tokens: { type: 'string' },
    experts: { type: 'string' },
    length: { type: 'string', default: '512' },
    memory: { type: 'string' },
    folder: { type: 'string', default: 'out/bench' },
  },
});
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-scaling-'));
const lanes = availableParallelism();
const length = Number(values.length);
const memory = values.memory === undefined ? undefined : Number(values.memory) * 2 ** 30;

interface Run {
  readonly size: number;
  readonly model: string;
  readonly tokens: number;
}

async function byExperts(experts: number): Promise<Run> {
  const shape = qwen3(experts);
  const model = join(values.folder, shape.name);
  await makeModel(model, shape);
  return { size: experts, model, tokens: Number(values.tokens ?? 16_384) };
}

const byTokens = (tokens: number): Run => ({ size: tokens, model: values.model, tokens });
const runs =
  values.experts === undefined
    ? (values.tokens ?? '4096,8192,16384,32768,65536').split(',').map(Number).map(byTokens)
    : await Promise.all(values.experts.split(',').map(Number).map(byExperts));

const headers = ['processor s', 'clock s', 'peak MiB', 'estimated s', 'estimated MiB'];
process.stdout.write(`${[values.experts === undefined ? 'tokens' : 'experts', ...headers].join('  ')}\n`);
for (const { size, model, tokens } of runs) {
  const output = join(folder, String(size));
  const checkpoint = openCheckpoint(model);
  const settings = quantizeSettings(defaultQuantize(), checkpoint);
  checkpoint.close();
  const estimate = await estimateQuantization({
    model,
    settings,
    tokens,
    sequenceLength: length,
    output,
    lanes,
    memory,
  });
  const job = {
    model,
    output,
    rounding: 'gptq',
    tokens,
    length,
    lanes,
    ...(memory === undefined ? {} : { memory }),
  } as const;
  const start = performance.now();
  const run = spawnSync('/usr/bin/env', ['time', '-f', '%U %S %M', ...childCommand(job)], { encoding: 'utf8' });
  const seconds = (performance.now() - start) / 1000;
  if (run.status !== 0) throw new Error(run.stdout + run.stderr);
  const [user = 0, system = 0, peak = 0] = run.stderr.trim().split('\n').at(-1).split(' ').map(Number);
  const cells = [user + system, seconds, peak / 1024, estimate.seconds, estimate.peakMemoryBytes / 2 ** 20];
  process.stdout.write(
    `${[size, ...cells.map((cell) => cell.toFixed(1))].map((cell) => String(cell).padStart(9)).join('  ')}\n`,
  );
  rmSync(output, { recursive: true });
}
rmSync(folder, { recursive: true });
