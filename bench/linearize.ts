/**
 * Memory and time of reading experts out of fused tensors in the shape of Llama-4-Scout: gate and up together in
 * [16, 5120, 16384] and down in [16, 8192, 5120], bf16, stored [in, out].
 *
 *     npx tsx bench/linearize.ts [experts to read, 16]
 *
 * Prints one JSON object: bytes of the fused tensors and of one expert in f32, what the process held at most beyond its
 * start (resident, MiB), seconds per expert, and how many values differed from those written. Experts that are not read
 * are holes in the file.
 */
import { closeSync, ftruncateSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../src/checkpoint/open.js';
import { parseModelConfig } from '../src/model/config.js';
import { routedExperts } from '../src/model/experts.js';
import { createWeightReader } from '../src/runtime/weights.js';

const [EXPERTS, HIDDEN, INNER] = [16, 5120, 8192];
const MODULE = 'model.layers.0.feed_forward.experts';
const MIB = 2 ** 20;

/** A value between 1 and 2 that differs between neighbours in every direction, as bf16. */
function stored(expert: number, row: number, column: number): number {
  return 0x3f80 | ((expert * 31 + row * 7 + column) & 0x7f);
}

function writeModel(directory: string, experts: number): number {
  const tensors = [
    { name: `${MODULE}.gate_up_proj`, rows: HIDDEN, columns: 2 * INNER },
    { name: `${MODULE}.down_proj`, rows: INNER, columns: HIDDEN },
  ];
  let end = 0;
  const entries = tensors.map(({ name, rows, columns }) => {
    const begin = end;
    end += EXPERTS * rows * columns * 2;
    return [name, { dtype: 'BF16', shape: [EXPERTS, rows, columns], data_offsets: [begin, end] }] as const;
  });
  const json = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const header = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const file = openSync(join(directory, 'model.safetensors'), 'w');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  writeSync(file, Buffer.concat([length, header]));
  const start = length.length + header.length;
  ftruncateSync(file, start + end);
  tensors.forEach(({ rows, columns }, i) => {
    const line = new Uint16Array(columns);
    for (let e = 0; e < experts; e++) {
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) line[column] = stored(e, row, column);
        const at = start + entries[i]![1].data_offsets[0] + (e * rows + row) * columns * 2;
        writeSync(file, new Uint8Array(line.buffer), 0, line.byteLength, at);
      }
    }
  });
  closeSync(file);
  const config = { architectures: ['Llama4ForCausalLM'], hidden_size: HIDDEN };
  writeFileSync(join(directory, 'config.json'), JSON.stringify(config));
  return end;
}

/** Counts the values of a [out, in] weight that are not what `stored` gave for [in, first + out]. */
function countWrong(data: Float32Array, expert: number, inFeatures: number, first: number): number {
  const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
  let wrong = 0;
  for (let i = 0; i < bits.length; i++) {
    const [out, into] = [Math.floor(i / inFeatures), i % inFeatures];
    if (bits[i]! >>> 16 !== stored(expert, into, first + out)) wrong += 1;
  }
  return wrong;
}

const experts = Number(process.argv[2] ?? EXPERTS);
const directory = mkdtempSync(join(tmpdir(), 'evenkeel-linearize-'));
try {
  const fusedBytes = writeModel(directory, experts);
  const source = openCheckpoint(directory);
  const declaration = { config: parseModelConfig(source.config), source, root: 'model' };
  const fused = { gateUp: `${MODULE}.gate_up_proj`, down: `${MODULE}.down_proj`, transposed: true };
  const plans = routedExperts(declaration, MODULE, EXPERTS, { fused });
  const reader = createWeightReader(source);
  const before = process.resourceUsage().maxRSS / 1024;
  let [seconds, wrong] = [0, 0];
  plans.slice(0, experts).forEach(({ gate, up, down }, e) => {
    const parts = [gate, up, down].map(({ weight }) => {
      const begin = performance.now();
      const { data } = reader.weight(weight);
      seconds += (performance.now() - begin) / 1000;
      return data;
    });
    const firsts = [0, INNER, 0];
    parts.forEach((data, i) => (wrong += countWrong(data, e, [HIDDEN, HIDDEN, INNER][i]!, firsts[i]!)));
  });
  source.close();
  const result = {
    experts,
    fusedMiB: fusedBytes / MIB,
    expertMiB: (3 * HIDDEN * INNER * 4) / MIB,
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024 - before),
    secondsPerExpert: Number((seconds / experts).toFixed(2)),
    wrong,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  rmSync(directory, { recursive: true });
}
