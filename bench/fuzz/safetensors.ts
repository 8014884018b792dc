/** Damages the folders of small checkpoints, files, indexes and configs, and opens and reads them. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import type { Random } from '../../src/data/sampling.js';

interface Folder {
  readonly [file: string]: Uint8Array;
}

/**
 * Writes a damaged checkpoint into a folder, reads all of it, and removes it again.
 *
 * @throws what reading throws: an InputError, or else a fault
 */
export function readDamagedCheckpoint(name: string, directory: string, random: Random): void {
  const damaged = mutate(CHECKPOINTS[name]!, random);
  for (const [part, bytes] of Object.entries(damaged)) writeFileSync(join(directory, part), bytes);
  try {
    readEverything(directory);
  } finally {
    for (const part of Object.keys(damaged)) rmSync(join(directory, part));
  }
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
export const CHECKPOINTS: Readonly<Record<string, Folder>> = {
  plain: {
    'config.json': json({}),
    'model.safetensors': file([
      ['a.weight', 'BF16', [4, 8]],
      ['b', 'F32', []],
      ['c', 'I64', [3]],
      ['e', 'F16', [0, 2]],
    ]),
  },
  sharded: {
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
  fp8: {
    'config.json': json({ quantization_config: { quant_method: 'fp8', weight_block_size: [4, 4] } }),
    'model.safetensors': file([
      ['a.weight_scale_inv', 'F32', [2, 2]],
      ['b.weight_scale', 'F32', [1]],
      ['a.weight', 'F8_E4M3', [6, 8]],
      ['b.weight', 'F8_E5M2', [4, 4]],
    ]),
  },
  mxfp4: {
    'config.json': json({ quantization_config: { quant_method: 'mxfp4' } }),
    'model.safetensors': file([
      ['e_blocks', 'U8', [2, 3, 1, 16]],
      ['e_scales', 'U8', [2, 3, 1]],
    ]),
  },
  packed: {
    'config.json': json({ quantization_config: { quant_method: 'compressed-tensors', format: 'pack-quantized' } }),
    'model.safetensors': file([
      ['m.weight_shape', 'I64', [2], new Uint8Array(BigInt64Array.of(8n, 32n).buffer)],
      ['m.weight_packed', 'I32', [8, 4]],
      ['m.weight_zero_point', 'I32', [1, 2]],
      ['m.weight_scale', 'BF16', [8, 2]],
    ]),
  },
  awq: {
    'config.json': json({ quantization_config: { quant_method: 'awq', bits: 4 } }),
    'model.safetensors': file([
      ['m.qweight', 'I32', [32, 2]],
      ['m.qzeros', 'I32', [1, 2]],
      ['m.scales', 'F16', [1, 16]],
    ]),
  },
};

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
  for (let i = random.below(3) === 0 ? 1 + random.below(3) : 1; i > 0; i--) {
    const name = names[random.below(names.length)]!;
    mutant[name] = mutateBytes(mutant[name]!, name.endsWith('.safetensors'), random);
  }
  if (random.below(100) === 0) delete mutant[names[random.below(names.length)]!];
  return mutant;
}

function mutateBytes(bytes: Uint8Array, hasHeader: boolean, random: Random): Uint8Array {
  const at = random.below(bytes.length + 1);
  const length = random.below(12);
  switch (random.below(hasHeader ? 8 : 6)) {
    case 0:
      return splice(bytes, at, 1, Uint8Array.of(random.below(256)));
    case 1:
      return splice(bytes, at, 0, Buffer.from(TOKENS[random.below(TOKENS.length)]!));
    case 2:
      return splice(bytes, at, length, Buffer.from(TOKENS[random.below(TOKENS.length)]!));
    case 3:
      return splice(bytes, at, length, new Uint8Array());
    case 4:
      return splice(bytes, at, 0, bytes.subarray(Math.max(0, at - random.below(64)), at));
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
  const token = tokens[random.below(tokens.length)];
  if (token === undefined) return bytes;
  const nudged = /^\d+$/.test(token[0])
    ? String(Number(token[0]) + random.below(17) - 8)
    : TOKENS[random.below(TOKENS.length)]!;
  const text = random.below(2) === 0 ? nudged : TOKENS[random.below(TOKENS.length)]!;
  const edited = Buffer.from(
    header.slice(0, token.index) + text + header.slice(token.index + token[0].length),
    'latin1',
  );
  return Buffer.concat([lengthPrefix(edited.length), edited, bytes.subarray(8 + length)]);
}

function withLength(bytes: Uint8Array, random: Random): Uint8Array {
  const lengths = [
    0,
    1,
    bytes.length - 8,
    bytes.length,
    2 ** 31,
    2 ** 32,
    2 ** 53,
    random.below(2 ** 16),
    random.below(2 ** 31),
  ];
  return Buffer.concat([lengthPrefix(Math.max(0, lengths[random.below(lengths.length)]!)), bytes.subarray(8)]);
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
