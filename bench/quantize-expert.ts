/**
 * Times search and quantization of one routed expert of Qwen3-30B-A3B's shape on one thread, against the floor that the
 * method's own matrix products set at the Gemm rate measured in the same run. Times are of the processor, not of the
 * clock, so that other work on the machine disturbs the ratio less.
 *
 *   npx tsx bench/quantize-expert.ts [hidden=2048] [intermediate=768] [experts=128]
 */
import { prepareGram, quantizeWeight } from '../src/awq/quantize-weight.js';
import { chooseScales, rowsPerLinear, scaleCandidates } from '../src/awq/scale-candidates.js';
import { scaleLosses } from '../src/awq/scale-search.js';
import type { Scheme } from '../src/awq/scheme.js';
import { DEFAULT_ROUNDING, DEFAULT_SEARCH } from '../src/awq/settings.js';
import { addWeightMagnitude, createWeightMagnitude, meanWeightMagnitude } from '../src/awq/statistics.js';
import { gemm } from '../src/runtime/matrix.js';
import { normals } from '../test/awq/fixtures.js';

const [hidden = 2048, intermediate = 768, experts = 128] = process.argv.slice(2).map(Number);
const TOKENS = 1024;
const CLIP_RANGES = 11;
const GROUP = 128;
const SCALE_DTYPE = 'BF16';
const scheme: Scheme = { bits: 4, symmetric: true, groupSize: GROUP };
const settings = DEFAULT_ROUNDING;

interface Linear {
  readonly name: string;
  readonly out: number;
  readonly in: number;
  readonly rows: number;
}

const linears: Linear[] = [
  {
    name: 'gate',
    out: intermediate,
    in: hidden,
    rows: rowsPerLinear(intermediate, 2 * experts, DEFAULT_SEARCH.rowBudget),
  },
  {
    name: 'up',
    out: intermediate,
    in: hidden,
    rows: rowsPerLinear(intermediate, 2 * experts, DEFAULT_SEARCH.rowBudget),
  },
  { name: 'down', out: hidden, in: intermediate, rows: 512 },
];

/** GFLOP of the matrix products that the method cannot do without. */
function work(): Record<string, number> {
  return {
    search: giga((l) => DEFAULT_SEARCH.grid * 2 * l.rows * l.in ** 2),
    factor: (hidden ** 3 + intermediate ** 3) / 3e9,
    clip: giga((l) => CLIP_RANGES * 2 * l.out * l.in * GROUP),
    feedback: giga((l) => l.out * l.in ** 2),
    descent: giga((l) => settings.descentSweeps * (2 * l.out * l.in ** 2 + 2 * l.out * l.in * GROUP)),
  };
}

/** GFLOP over all Linears. */
function giga(of: (linear: Linear) => number): number {
  return linears.reduce((total, linear) => total + of(linear), 0) / 1e9;
}

/** Processor time of this process. */
function seconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** GFLOP/s of a product of the shape that dominates. */
async function gemmRate(): Promise<number> {
  const shape = { m: 512, n: 512, k: 2048 };
  const [a, b, out] = [
    new Float32Array(512 * 2048).fill(0.5),
    new Float32Array(512 * 2048).fill(0.5),
    new Float32Array(512 * 512),
  ];
  await gemm(a, b, shape, { out });
  const start = seconds();
  let count = 0;
  while (seconds() - start < 0.5) {
    await gemm(a, b, shape, { out });
    count++;
  }
  return (count * 2 * 512 * 512 * 2048) / 1e9 / (seconds() - start);
}

async function gram(channels: number): Promise<Float32Array> {
  const rank = 64;
  const shape = { m: TOKENS, n: channels, k: rank };
  const inputs = await gemm(normals(TOKENS * rank, 1), normals(rank * channels, 2), shape, { alpha: 0.125 });
  const noise = normals(inputs.length, 3);
  for (let i = 0; i < inputs.length; i++) inputs[i] = (inputs[i]! + noise[i]! / 2) * (i % 37 === 0 ? 5 : 1);
  return gemm(inputs, inputs, { m: channels, n: channels, k: TOKENS }, { transA: true, alpha: 1 / TOKENS });
}

const weights = new Map(
  linears.map(({ name, out, in: channels }, i) => [name, normals(out * channels, 7 + i).map((x) => x * 0.02)]),
);
const grams = new Map([
  [hidden, await gram(hidden)],
  [intermediate, await gram(intermediate)],
]);
const spent: Record<string, number> = {};
const timed = async <T>(name: string, promise: () => Promise<T>): Promise<T> => {
  const start = seconds();
  const result = await promise();
  spent[name] = (spent[name] ?? 0) + seconds() - start;
  return result;
};

async function expert(): Promise<void> {
  for (const channels of [hidden, intermediate]) {
    const statistics = { kind: 'gram' as const, gram: grams.get(channels)! };
    const members = linears.filter((linear) => linear.in === channels);
    const magnitude = createWeightMagnitude(channels);
    await timed('magnitude', async () => {
      for (const { name, out } of members) addWeightMagnitude(magnitude, weights.get(name)!, out, channels, scheme);
    });
    const meanAbs = Float32Array.from(
      { length: channels },
      (_, j) => Math.sqrt(statistics.gram[j * (channels + 1)]!) * 0.8,
    );
    const candidates = scaleCandidates(meanAbs, meanWeightMagnitude(magnitude), DEFAULT_SEARCH);
    const losses = new Float64Array(candidates.length);
    for (const { name, out, rows } of members) {
      const linear = {
        weight: weights.get(name)!,
        outFeatures: out,
        inFeatures: channels,
        statistics,
        lossWeight: 1,
        rows,
      };
      const found = await timed('search', () => scaleLosses(candidates, linear, scheme, DEFAULT_SEARCH, SCALE_DTYPE));
      for (const [c, loss] of found.entries()) losses[c]! += loss;
    }
    chooseScales(candidates, losses);
    const prepared = await timed('factor', () => prepareGram(statistics.gram, channels, settings));
    for (const { name, out } of members) {
      const job = {
        weight: weights.get(name)!,
        outFeatures: out,
        inFeatures: channels,
        prepared,
        scheme,
        settings,
        scaleDtype: SCALE_DTYPE,
      } as const;
      await timed('quantize', () => quantizeWeight(job));
    }
  }
}

await expert();
for (const name of Object.keys(spent)) spent[name] = 0;
const before = await gemmRate();
const start = seconds();
await expert();
const time = seconds() - start;
const rate = (before + (await gemmRate())) / 2;
const needed = Object.values(work()).reduce((sum, gflop) => sum + gflop, 0);
const rows = [
  ['GFLOP needed', needed.toFixed(1)],
  ...Object.entries(work()).map(([name, gflop]) => [`  ${name}`, gflop.toFixed(1)]),
  ['Gemm GFLOP/s', rate.toFixed(0)],
  ['floor, s', (needed / rate).toFixed(3)],
  ['time, s', time.toFixed(3)],
  ...Object.entries(spent).map(([name, value]) => [`  ${name}`, value.toFixed(3)]),
  ['times the floor', ((time * rate) / needed).toFixed(2)],
];
process.stdout.write(`${rows.map(([name, value]) => `${name!.padEnd(18)}${value!.padStart(10)}`).join('\n')}\n`);
