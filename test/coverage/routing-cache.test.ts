import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCoverageCounter } from '../../src/coverage/count.js';
import { fingerprintModel } from '../../src/coverage/model-fingerprint.js';
import { joinCached, joinCounts, openRoutingCache, rowOf } from '../../src/coverage/routing-cache.js';
import { decodeVarints, encodeVarints } from '../../src/coverage/varint.js';
import { syntheticRouting, syntheticSequences } from './synthetic.js';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'evenkeel-routing-'));
});
afterAll(() => rm(folder, { recursive: true }));

const sequences = syntheticSequences({ seed: 8, sequences: 40, length: 50, languages: ['el', 'en'] });
const counter = createCoverageCounter({ sequences, floor: 64, perSequence: true });
for (let layer = 0; layer < 3; layer++) counter.add(syntheticRouting(sequences, layer, 16, 2));
const counts = counter.sparseCounts();

describe('openRoutingCache()', () => {
  test('gives back what was written, also when opened anew, and nothing else', async () => {
    const cache = await openRoutingCache(folder, 'a');
    await cache.write(sequences.slice(0, 30), { ...counts, sequences: 30 });
    for (const opened of [cache, await openRoutingCache(folder, 'a')]) {
      const read = await opened.find(sequences, 48);
      expect(read.slice(30).every((entry) => entry === null)).toBe(true);
      const joined = await joinCached(
        read.slice(0, 30).map((entry) => entry!),
        48,
        50,
      );
      expect(joined.offsets).toEqual(counts.offsets.slice(0, 31));
      expect(Array.from(joined.cells)).toEqual(Array.from(counts.cells.subarray(0, counts.offsets[30])));
      expect(Array.from(joined.counts)).toEqual(Array.from(counts.counts.subarray(0, counts.offsets[30])));
    }
    const other = await openRoutingCache(folder, 'b');
    expect((await other.find(sequences, 48)).every((entry) => entry === null)).toBe(true);
    expect((await cache.find(sequences, 64)).every((entry) => entry === null)).toBe(true);
  });

  test('writes only what it does not have', async () => {
    const cache = await openRoutingCache(folder, 'c');
    await cache.write(sequences.slice(0, 10), { ...counts, sequences: 10 });
    await cache.write(sequences, counts);
    await cache.write(sequences, counts);
    expect((await readdir(join(folder, 'c'))).length).toBe(2);
    expect((await cache.find(sequences, 48)).every((entry) => entry !== null)).toBe(true);
  });

  test('a damaged or truncated file never gives wrong counts', async () => {
    const cache = await openRoutingCache(folder, 'd');
    await cache.write(sequences, counts);
    const whole = sequences.map((_, i) => rowOf(counts, i));
    const [name] = await readdir(join(folder, 'd'));
    const path = join(folder, 'd', name!);
    const intact = await readFile(path);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(intact.length - 1),
        fc.integer({ min: 1, max: 255 }),
        fc.boolean(),
        async (at, change, cut) => {
          const damaged = cut ? intact.subarray(0, at) : Buffer.from(intact);
          if (!cut) damaged[at]! ^= change;
          await writeFile(path, damaged);
          const opened = await openRoutingCache(folder, 'd');
          const read = await opened.find(sequences, 48);
          const there = read.flatMap((entry, i) => (entry === null ? [] : [{ entry, whole: whole[i]! }]));
          const joined = await joinCached(
            there.map(({ entry }) => entry),
            48,
            50,
          );
          expect(joined).toEqual(
            joinCounts(
              there.map((row) => row.whole),
              48,
              50,
            ),
          );
          expect(read.some((entry) => entry === null)).toBe(true);
        },
      ),
      { numRuns: 150 },
    );
  });
});

async function makeModel(name: string, config: string, weights: Buffer): Promise<string> {
  const directory = join(folder, name);
  await mkdir(directory);
  await writeFile(join(directory, 'config.json'), config);
  await writeFile(join(directory, 'model.safetensors'), weights);
  return fingerprintModel(directory);
}

describe('fingerprintModel()', () => {
  test('changes with the config and with the weights, not with the place', async () => {
    const weights = Buffer.alloc(1_000_000, 7);
    const one = await makeModel('m1', '{}', weights);
    expect(await makeModel('m2', '{}', weights)).toBe(one);
    expect(await makeModel('m3', '{"a":1}', weights)).not.toBe(one);
    weights.fill(8, 500_000, 540_000);
    expect(await makeModel('m4', '{}', weights)).not.toBe(one);
  });
});

describe('encodeVarints()', () => {
  test('round-trips through decodeVarints()', () => {
    fc.assert(
      fc.property(fc.array(fc.maxSafeNat()), (values) => {
        expect(Array.from(decodeVarints(encodeVarints(values), values.length)!)).toEqual(values);
      }),
    );
  });

  test('decodeVarints() refuses bytes that do not end where the numbers do', () => {
    expect(decodeVarints(Uint8Array.of(0x80), 1)).toBeNull();
    expect(decodeVarints(Uint8Array.of(1, 2), 1)).toBeNull();
    expect(decodeVarints(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), 1)).toBeNull();
  });
});
