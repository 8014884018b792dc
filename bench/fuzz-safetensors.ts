/**
 * Mutates safetensors files, indexes and configs and opens and reads them: every input must either read or be refused
 * with an InputError, within a second and within a bounded heap.
 *
 *     npx tsx bench/fuzz-safetensors.ts [runs, 100000] [seed, 1]
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '../src/checkpoint/open.js';
import { InputError } from '../src/errors.js';

/** No mutant may take longer. */
const MAX_MILLISECONDS = 1000;
/** The inputs have some kilobytes; whatever is beyond this was caused by believing what they say. */
const MAX_RESIDENT_GROWTH = 256 * 2 ** 20;

export interface FuzzResult {
  readonly runs: number;
  readonly read: number;
  readonly refused: number;
  readonly slowestMilliseconds: number;
  readonly residentGrowth: number;
  /** Everything that was neither read nor refused properly, with the seed that reproduces it. */
  readonly failures: readonly string[];
}

interface Folder {
  readonly [file: string]: Uint8Array;
}

type Random = (below: number) => number;

export function fuzzSafetensors(runs: number, seed: number): FuzzResult {
  const directory = mkdtempSync(join(tmpdir(), 'evenkeel-fuzz-'));
  const failures: string[] = [];
  let [read, refused, slowestMilliseconds] = [0, 0, 0];
  const before = process.memoryUsage().rss;
  let peak = before;
  try {
    for (let run = 0; run < runs; run++) {
      const random = generator(seed + run);
      const folder = mutate(SEEDS[random(SEEDS.length)]!, random);
      for (const [name, bytes] of Object.entries(folder)) writeFileSync(join(directory, name), bytes);
      const start = performance.now();
      try {
        readEverything(directory);
        read++;
      } catch (error) {
        if (error instanceof InputError) refused++;
        else failures.push(`seed ${seed + run}: ${error instanceof Error ? error.stack : String(error)}`);
      }
      const milliseconds = performance.now() - start;
      slowestMilliseconds = Math.max(slowestMilliseconds, milliseconds);
      if (milliseconds > MAX_MILLISECONDS) failures.push(`seed ${seed + run}: took ${milliseconds.toFixed(0)} ms`);
      for (const name of Object.keys(folder)) rmSync(join(directory, name));
      if (run % 500 === 0) peak = Math.max(peak, process.memoryUsage().rss);
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
  const residentGrowth = Math.max(peak, process.memoryUsage().rss) - before;
  if (residentGrowth > MAX_RESIDENT_GROWTH) failures.push(`resident memory grew by ${residentGrowth} bytes`);
  return { runs, read, refused, slowestMilliseconds, residentGrowth, failures };
}

function readEverything(directory: string): void {
  const source = openCheckpoint(directory);
  try {
    for (const { name, shape } of source.tensors.values()) {
      source.read(name);
      if ((shape[0] ?? 0) > 0) source.read(name, { index: 0 });
      source.read(name, { rows: [0, Math.min(1, shape[0] ?? 0)] });
    }
    for (const name of source.infos.keys()) source.readBytes(name);
  } finally {
    source.close();
  }
}

/** A plain model, a sharded one, and one of each encoding; all valid. */
const SEEDS: readonly Folder[] = [
  {
    'config.json': json({}),
    'model.safetensors': file([
      ['a.weight', 'BF16', [4, 8]],
      ['b', 'F32', []],
      ['c', 'I64', [3]],
      ['e', 'F16', [0, 2]],
    ]),
  },
  {
    'config.json': json({ rope_theta: 1e-5, limit: [0, 1] }),
    'one.safetensors': file([['a', 'F16', [3, 3]]]),
    'two.safetensors': file([
      ['b', 'F64', [2]],
      ['d', 'U8', [5]],
    ]),
    'model.safetensors.index.json': json({
      metadata: { total_size: 39 },
      weight_map: { a: 'one.safetensors', b: 'two.safetensors', d: 'two.safetensors' },
    }),
  },
  {
    'config.json': json({ quantization_config: { quant_method: 'fp8', weight_block_size: [4, 4] } }),
    'model.safetensors': file([
      ['a.weight_scale_inv', 'F32', [2, 2]],
      ['b.weight_scale', 'F32', [1]],
      ['a.weight', 'F8_E4M3', [6, 8]],
      ['b.weight', 'F8_E5M2', [4, 4]],
    ]),
  },
  {
    'config.json': json({ quantization_config: { quant_method: 'mxfp4' } }),
    'model.safetensors': file([
      ['e_blocks', 'U8', [2, 3, 1, 16]],
      ['e_scales', 'U8', [2, 3, 1]],
    ]),
  },
  {
    'config.json': json({ quantization_config: { quant_method: 'compressed-tensors', format: 'pack-quantized' } }),
    'model.safetensors': file([
      ['m.weight_shape', 'I64', [2], new Uint8Array(BigInt64Array.of(8n, 32n).buffer)],
      ['m.weight_packed', 'I32', [8, 4]],
      ['m.weight_zero_point', 'I32', [1, 2]],
      ['m.weight_scale', 'BF16', [8, 2]],
    ]),
  },
  {
    'config.json': json({ quantization_config: { quant_method: 'awq', bits: 4 } }),
    'model.safetensors': file([
      ['m.qweight', 'I32', [32, 2]],
      ['m.qzeros', 'I32', [1, 2]],
      ['m.scales', 'F16', [1, 16]],
    ]),
  },
];

/** What a header may hold, and what it should not. */
const TOKENS = [
  '{',
  '}',
  '[',
  ']',
  ',',
  ':',
  '"',
  '\\',
  '\\u0000',
  'null',
  'true',
  '[]',
  '{}',
  '0',
  '1',
  '-1',
  '1.5',
  '1e308',
  '1e999',
  '2147483648',
  '9007199254740993',
  '18446744073709551616',
  '"F32"',
  '"F4"',
  '"F8_E4M3"',
  '"BOOL"',
  '"I64"',
  '"shape"',
  '"dtype"',
  '"data_offsets"',
  '"__metadata__"',
  '"__proto__"',
  '"constructor"',
  '"toString"',
  '../',
  '/etc/passwd',
  '.weight_packed',
  '_scale_inv',
  '[[[[[[',
  ' '.repeat(64),
  '\uD800',
  '\u0000',
  'NaN',
  'Infinity',
];

function mutate(seed: Folder, random: Random): Folder {
  const names = Object.keys(seed);
  const mutant: Record<string, Uint8Array> = { ...seed };
  for (let i = random(3) === 0 ? 1 + random(3) : 1; i > 0; i--) {
    const name = names[random(names.length)]!;
    mutant[name] = mutateBytes(mutant[name]!, name.endsWith('.safetensors'), random);
  }
  if (random(100) === 0) delete mutant[names[random(names.length)]!];
  return mutant;
}

function mutateBytes(bytes: Uint8Array, hasHeader: boolean, random: Random): Uint8Array {
  const at = random(bytes.length + 1);
  const length = random(12);
  switch (random(hasHeader ? 8 : 6)) {
    case 0:
      return splice(bytes, at, 1, Uint8Array.of(random(256)));
    case 1:
      return splice(bytes, at, 0, Buffer.from(TOKENS[random(TOKENS.length)]!));
    case 2:
      return splice(bytes, at, length, Buffer.from(TOKENS[random(TOKENS.length)]!));
    case 3:
      return splice(bytes, at, length, new Uint8Array());
    case 4:
      return splice(bytes, at, 0, bytes.subarray(Math.max(0, at - random(64)), at));
    case 5:
      return bytes.subarray(0, at);
    case 6:
      return withLength(bytes, random);
    default:
      return editHeader(bytes, random);
  }
}

/** Replaces one token of the header and mends the length, so that the mutant gets past the first checks. */
function editHeader(bytes: Uint8Array, random: Random): Uint8Array {
  if (bytes.length < 8) return bytes;
  const length = Math.min(bytes.length - 8, new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true));
  const header = Buffer.from(bytes.subarray(8, 8 + length)).toString('latin1');
  const tokens = [...header.matchAll(/"[^"]*"|\d+|[[\]{},:]/g)];
  const token = tokens[random(tokens.length)];
  if (token === undefined) return bytes;
  const nudged = /^\d+$/.test(token[0]) ? String(Number(token[0]) + random(17) - 8) : TOKENS[random(TOKENS.length)]!;
  const text = random(2) === 0 ? nudged : TOKENS[random(TOKENS.length)]!;
  const edited = Buffer.from(
    header.slice(0, token.index) + text + header.slice(token.index + token[0].length),
    'latin1',
  );
  return Buffer.concat([lengthPrefix(edited.length), edited, bytes.subarray(8 + length)]);
}

function withLength(bytes: Uint8Array, random: Random): Uint8Array {
  const lengths = [0, 1, bytes.length - 8, bytes.length, 2 ** 31, 2 ** 32, 2 ** 53, random(2 ** 16), random(2 ** 31)];
  return Buffer.concat([lengthPrefix(Math.max(0, lengths[random(lengths.length)]!)), bytes.subarray(8)]);
}

function splice(bytes: Uint8Array, at: number, removed: number, inserted: Uint8Array): Uint8Array {
  return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
}

function file(
  tensors: readonly (readonly [name: string, dtype: string, shape: readonly number[], bytes?: Uint8Array])[],
): Uint8Array {
  const sizes: Record<string, number> = { F64: 8, I64: 8, F32: 4, I32: 4, BF16: 2, F16: 2 };
  let end = 0;
  const data: Uint8Array[] = [];
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  for (const [name, dtype, shape, bytes] of tensors) {
    const size = shape.reduce((product, dimension) => product * dimension, sizes[dtype] ?? 1);
    data.push(bytes ?? Uint8Array.from({ length: size }, (_, i) => (i * 37) & 63));
    header[name] = { dtype, shape, data_offsets: [end, (end += size)] };
  }
  const text = Buffer.from(JSON.stringify(header));
  return Buffer.concat([lengthPrefix(text.length), text, ...data]);
}

function lengthPrefix(length: number): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(length));
  return prefix;
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

/** mulberry32 */
function generator(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

if (process.argv[1] === import.meta.filename) {
  const result = fuzzSafetensors(Number(process.argv[2] ?? 100_000), Number(process.argv[3] ?? 1));
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  process.exitCode = result.failures.length === 0 ? 0 : 1;
}
