import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { QuantizedLinear, Scheme } from '../../src/awq/scheme.js';
import { autoawq, AWQ_ORDER } from '../../src/checkpoint/autoawq.js';
import { compressedTensors } from '../../src/checkpoint/compressed-tensors.js';
import type { EncodedTensor } from '../../src/checkpoint/encode.js';
import { specOf, type CheckpointFormat } from '../../src/checkpoint/format.js';
import { decodeHalf, roundToHalf } from '../../src/checkpoint/half.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { packRows, unpackRows } from '../../src/checkpoint/words.js';
import { floatsOf, readOracle } from './oracle/read.js';
import { safetensorsBytes } from './safetensors-bytes.js';

interface PackingCase extends Scheme {
  readonly outFeatures: number;
  readonly inFeatures: number;
  readonly scaleDtype: 'BF16' | 'F16';
  readonly codes: number[];
  readonly scales: string;
  readonly zeroPoints: number[] | null;
  readonly tensors: Record<string, { dtype: string; shape: number[]; bytes: string }>;
  readonly decoded: string;
}

const FORMATS = { 'compressed-tensors': compressedTensors, autoawq };
const oracle: Record<keyof typeof FORMATS, PackingCase[]> = JSON.parse(readOracle('packing.json.gz'));
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-packing-'));
afterAll(() => rmSync(folder, { recursive: true }));

function linearOf({ bits, symmetric, groupSize, ...rest }: PackingCase): QuantizedLinear {
  return {
    outFeatures: rest.outFeatures,
    inFeatures: rest.inFeatures,
    scheme: { bits, symmetric, groupSize },
    scaleDtype: rest.scaleDtype,
    codes: Int8Array.from(rest.codes),
    scales: floatsOf(rest.scales),
    zeroPoints: rest.zeroPoints === null ? null : Int8Array.from(rest.zeroPoints),
  };
}

/** Writes the tensors as a model folder and reads `m.weight` back through the public seam. */
function readBack(format: CheckpointFormat, tensors: readonly EncodedTensor[], slice?: [number, number]): Float32Array {
  writeFileSync(join(folder, 'model.safetensors'), safetensorsBytes(tensors));
  const quantMethod = format.name === 'autoawq' ? 'awq' : format.name;
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ quantization_config: { quant_method: quantMethod } }));
  const checkpoint = openCheckpoint(folder);
  try {
    expect([...checkpoint.tensors.keys()]).toEqual(['m.weight']);
    return checkpoint.read('m.weight', slice === undefined ? {} : { rows: slice });
  } finally {
    checkpoint.close();
  }
}

describe.each(Object.values(FORMATS))('$name', (format) => {
  test.each(oracle[format.name])(
    'packs and decodes as the reference does: $bits bits, symmetric $symmetric, group $groupSize, [$outFeatures, $inFeatures]',
    (reference) => {
      const linear = linearOf(reference);
      const tensors = format.pack('m', linear);
      expect(format.refusal(specOf('m', linear))).toBeNull();
      expect(tensors.map(({ name, dtype, shape }) => ({ name, dtype, shape }))).toEqual(
        format.entries(specOf('m', linear)),
      );
      const got = Object.fromEntries(
        tensors.map(({ name, dtype, shape, bytes }) => [
          name.slice(2),
          { dtype, shape, bytes: Buffer.from(bytes).toString('base64') },
        ]),
      );
      expect(got).toEqual(reference.tensors);
      const decoded = floatsOf(reference.decoded);
      expect(readBack(format, tensors)).toEqual(decoded);
      const [from, to] = [1, reference.outFeatures - 1];
      expect(readBack(format, tensors, [from, to])).toEqual(
        decoded.subarray(from * reference.inFeatures, to * reference.inFeatures),
      );
    },
  );

  test('property: what is packed reads back as (code − zero point) · scale', () => {
    fc.assert(
      fc.property(
        fc.record({
          bits: format.name === 'autoawq' ? fc.constant(4 as const) : fc.constantFrom(4 as const, 8 as const),
          symmetric: fc.boolean(),
          group: fc.constantFrom(32, 64, 'channel' as const),
          groups: fc.integer({ min: 1, max: 3 }),
          octets: fc.integer({ min: 1, max: 4 }),
          seed: fc.integer(),
        }),
        ({ bits, symmetric, group, groups, octets, seed }) => {
          const inFeatures = group === 'channel' ? 8 * groups + 5 : group * groups;
          const linear = randomLinear({ bits, symmetric, groupSize: group }, 8 * octets, inFeatures, seed);
          const { codes, scales, zeroPoints } = linear;
          const size = group === 'channel' ? inFeatures : group;
          const wanted = Float32Array.from(codes, (code, i) => {
            const at = Math.floor(i / size);
            return (code - (zeroPoints?.[at] ?? 0)) * scales[at]!;
          });
          expect(readBack(format, format.pack('m', linear))).toEqual(
            roundToHalf(wanted, format.name === 'autoawq' ? 'F16' : 'BF16'),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test('pack() throws on a code outside the range, a zero scale, and sizes that do not fit', () => {
    const linear = randomLinear({ bits: 4, symmetric: true, groupSize: 32 }, 8, 32, 1);
    const broken = (change: Partial<QuantizedLinear>) => () => format.pack('m', { ...linear, ...change });
    expect(broken({ codes: linear.codes.with(3, 8) })).toThrow('wanted -8…7 for 4 bits, got 8');
    expect(broken({ codes: linear.codes.with(3, -9) })).toThrow('got -9');
    expect(broken({ scales: linear.scales.with(0, 0) })).toThrow('wanted scales other than zero');
    expect(broken({ scales: linear.scales.with(0, Number.NaN) })).toThrow('wanted finite numbers');
    expect(broken({ inFeatures: 40 })).toThrow('wanted input features divisible by 32');
    expect(broken({ zeroPoints: new Int8Array(8) })).toThrow('wanted zero points exactly when asymmetric');
  });
});

test('both formats hold the same codes, zero points and scales', () => {
  for (const symmetric of [true, false]) {
    const linear = randomLinear({ bits: 4, symmetric, groupSize: 32 }, 24, 96, 3);
    const stored = Object.values(FORMATS).map((format) => {
      const tensors = new Map(format.pack('m', linear).map(({ name, dtype, bytes }) => [name, { dtype, bytes }]));
      const words = (name: string): Int32Array => new Int32Array(tensors.get(name)!.bytes.slice().buffer);
      const halves = (name: string): Float32Array => {
        const { dtype, bytes } = tensors.get(name)!;
        return decodeHalf(new Uint16Array(bytes.slice().buffer), dtype as 'BF16' | 'F16');
      };
      if (format.name === 'compressed-tensors')
        return { codes: unpackRows(words('m.weight_packed'), 96, 4), scales: halves('m.weight_scale') };
      const turned = unpackRows(words('m.qweight'), 24, 4, AWQ_ORDER);
      return {
        codes: Int8Array.from(turned, (_, i) => turned[(i % 96) * 24 + Math.floor(i / 96)]!),
        scales: Float32Array.from(linear.scales, (_, i) => halves('m.scales')[(i % 3) * 24 + Math.floor(i / 3)]!),
      };
    });
    for (const { codes, scales } of stored) {
      expect(codes).toEqual(linear.codes);
      expect(scales).toEqual(linear.scales);
    }
  }
});

test('AutoAWQ keeps scales apart from zero that f16 would lose, and refuses those beyond it', () => {
  const linear = randomLinear({ bits: 4, symmetric: true, groupSize: 32 }, 8, 32, 1);
  const tensors = autoawq.pack('m', {
    ...linear,
    scales: Float32Array.from(linear.scales, (s) => Math.sign(s) * 1e-9),
  });
  const scales = new Uint16Array(tensors.find(({ name }) => name === 'm.scales')!.bytes.slice().buffer);
  expect(Array.from(scales, (bits) => bits & 0x7fff)).toEqual(Array.from(scales, () => 1));
  expect(() => autoawq.pack('m', { ...linear, scales: linear.scales.with(0, 1e6) })).toThrow('does not fit F16');
});

test('packRows() gives the golden words of compressed-tensors', () => {
  expect(packRows(Int8Array.of(-8, -7, -6, -5, -4, -3, -2, -1), 8, 4)).toEqual(Int32Array.of(0x76543210));
  expect(packRows(Int8Array.of(0, 1, 2, 3, 4, 5, 6, 7), 8, 4)).toEqual(Int32Array.of(0xfedcba98 | 0));
  const tail = packRows(Int8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 5, -5, -6, 5), 12, 4);
  expect(tail[1]).toBe(0x0000d23d);
});

test('packRows() gives the golden word of AutoAWQ: columns 0…7 → 0x75316420', () => {
  const columns = Int8Array.from({ length: 8 }, (_, i) => i - 8);
  const words = packRows(columns, 8, 4, AWQ_ORDER);
  expect(words).toEqual(Int32Array.of(0x75316420));
  expect(unpackRows(words, 8, 4, AWQ_ORDER)).toEqual(columns);
  const shifts = [0, 16, 4, 20, 8, 24, 12, 28];
  for (const [column, shift] of shifts.entries()) expect((words[0]! >>> shift) & 15).toBe(column);
});

test('a symmetric Linear gets the middle zero point 0x88888888 in AutoAWQ', () => {
  const linear = randomLinear({ bits: 4, symmetric: true, groupSize: 32 }, 16, 64, 7);
  const zeros = autoawq.pack('m', linear).find(({ name }) => name === 'm.qzeros')!;
  expect(new Set(zeros.bytes)).toEqual(new Set([0x88]));
});

function randomLinear(scheme: Scheme, outFeatures: number, inFeatures: number, seed: number): QuantizedLinear {
  let state = seed >>> 0;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  const code = (): number => Math.floor(random() * 2 ** scheme.bits) - 2 ** (scheme.bits - 1);
  const groups = outFeatures * (scheme.groupSize === 'channel' ? 1 : inFeatures / scheme.groupSize);
  const scales = Float32Array.from({ length: groups }, () => (random() + 0.01) * (random() < 0.5 ? -1 : 1));
  return {
    scheme,
    outFeatures,
    inFeatures,
    scaleDtype: 'BF16',
    codes: Int8Array.from({ length: outFeatures * inFeatures }, code),
    scales: roundToHalf(scales, 'BF16'),
    zeroPoints: scheme.symmetric ? null : Int8Array.from({ length: groups }, code),
  };
}
