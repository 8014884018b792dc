/**
 * Rates of reading, decoding, packing and writing weights, in GB/s of f32 (reading) or million weights a second.
 *
 *     npx tsx bench/checkpoint-io.ts
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { QuantizedLinear } from '../src/awq/scheme.js';
import { autoawq } from '../src/checkpoint/autoawq.js';
import { compressedTensors } from '../src/checkpoint/compressed-tensors.js';
import { encodeTensor, type EncodedTensor } from '../src/checkpoint/encode.js';
import { openCheckpoint } from '../src/checkpoint/open.js';
import { createCheckpointWriter } from '../src/checkpoint/writer.js';

const SIZE = 4096;
const ROUNDS = 5;
const root = mkdtempSync(join(tmpdir(), 'evenkeel-io-'));

/** The best of some rounds, as the machine may be busy. */
function rate(label: string, run: () => void): void {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  const weights = SIZE * SIZE;
  process.stdout.write(
    `${label.padEnd(34)} ${(weights / best / 1e3).toFixed(0).padStart(6)} M weights/s, ${best.toFixed(1)} ms\n`,
  );
}

async function folder(name: string, config: object, tensors: readonly EncodedTensor[]): Promise<string> {
  const directory = join(root, name);
  const writer = await createCheckpointWriter(directory, { entries: tensors, key: {} });
  for (const tensor of tensors) await writer.write(tensor.name, tensor.bytes);
  await writer.finish({ config: JSON.stringify(config) });
  await writer.close();
  return directory;
}

const weights = Float32Array.from({ length: SIZE * SIZE }, (_, i) => Math.sin(i) * 0.1);
const linear: QuantizedLinear = {
  outFeatures: SIZE,
  inFeatures: SIZE,
  scheme: { bits: 4, symmetric: false, groupSize: 128 },
  codes: Int8Array.from({ length: SIZE * SIZE }, (_, i) => (i % 16) - 8),
  scales: new Float32Array((SIZE * SIZE) / 128).fill(0.125),
  zeroPoints: new Int8Array((SIZE * SIZE) / 128).fill(1),
  scaleDtype: 'BF16',
};
const shape = [SIZE, SIZE];
const fp8 = [
  { name: 'w_scale_inv', dtype: 'F32', shape: [32, 32], bytes: new Uint8Array(4 * 32 * 32).fill(0x3c) },
  { name: 'w', dtype: 'F8_E4M3', shape, bytes: Uint8Array.from({ length: SIZE * SIZE }, (_, i) => i % 126) },
] as const;

const sources: [string, string][] = [];
for (const dtype of ['F32', 'BF16', 'F16'] as const) {
  sources.push([`read ${dtype}`, await folder(dtype, {}, [encodeTensor('w', dtype, shape, weights)])]);
}
sources.push(['read fp8 blocks', await folder('fp8', { quantization_config: { quant_method: 'fp8' } }, fp8)]);
for (const format of [compressedTensors, autoawq]) {
  const method = format === autoawq ? 'awq' : format.name;
  sources.push([
    `read ${format.name}`,
    await folder(method, { quantization_config: { quant_method: method } }, format.pack('m', linear)),
  ]);
  rate(`pack ${format.name}`, () => format.pack('m', linear));
}
for (const dtype of ['BF16', 'F16'] as const) rate(`encode ${dtype}`, () => encodeTensor('w', dtype, shape, weights));
const target = new Float32Array(SIZE * SIZE);
for (const [label, directory] of sources) {
  const source = openCheckpoint(directory);
  const [name = ''] = source.tensors.keys();
  rate(label, () => source.readInto(name, target));
  source.close();
}
rmSync(root, { recursive: true });
