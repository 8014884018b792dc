import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { chooseTargets } from '../../src/awq/targets.js';
import { openCheckpoint, type Checkpoint } from '../../src/checkpoint/open.js';
import { unpackRows } from '../../src/checkpoint/words.js';
import type { SharedSums } from '../../src/engine/jobs.js';
import {
  assignExperts,
  combineExperts,
  embedTokens,
  readRows,
  runLayerBlocks,
  runRoutedExperts,
} from '../../src/engine/layer-pass.js';
import { createPassState, layOut } from '../../src/engine/pass-state.js';
import { startModelLanes } from '../../src/engine/lanes.js';
import { wantedTaps } from '../../src/engine/wanted-taps.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { planModel } from '../../src/model/registry.js';
import { runQuantization } from '../../src/pipeline/quantize.js';
import { quantizeSettings } from '../../src/pipeline/settings.js';
import { defaultQuantize } from '../../src/recipe/quantize.js';
import type { QuantizeRecipe } from '../../src/recipe/recipe.js';
import { folder } from '../model/folders.js';

const MODEL = folder('qwen3_moe');
const directory = mkdtempSync(join(tmpdir(), 'evenkeel-independence-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Sequences of several lengths and languages: more tokens than a layer's own statistics are taken on. */
const SEQUENCES: readonly Sequence[] = Array.from({ length: 48 }, (_, i) => {
  const length = 24 + ((i * 7) % 20);
  let state = i + 1;
  const next = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  return {
    inputIds: Int32Array.from({ length }, () => next() % 320),
    channels: new Uint8Array(length),
    language: ['el', 'ka', 'yo'][i % 3]!,
    category: 'random',
    source: 'random',
    revision: null,
    license: null,
    recordId: String(i),
    window: 0,
  };
});

async function quantize(
  name: string,
  sequences: readonly Sequence[],
  lanes: number,
  changes: Partial<QuantizeRecipe>,
): Promise<{ readonly output: string; readonly reports: unknown }> {
  const checkpoint = openCheckpoint(MODEL);
  const settings = quantizeSettings({ ...defaultQuantize(), ...changes }, checkpoint);
  checkpoint.close();
  const output = join(directory, name);
  const run = runQuantization({ model: MODEL, sequences, settings, floor: 0, output, existing: 'refuse', lanes });
  for (;;) {
    const next = await run.next();
    if (next.done === true) return { output, reports: next.value.reports };
  }
}

const METHODS: Readonly<Record<string, Partial<QuantizeRecipe>>> = {
  'with shrinkage': { followDrift: false },
  'by routed tokens alone': { followDrift: false, experts: 'routed' },
  "by the layer's statistics alone": { followDrift: false, experts: 'all' },
  'following the drift': { followDrift: true },
};

describe('a checkpoint does not depend', () => {
  it.each(Object.entries(METHODS))('on the order of the sequences: the same bytes, %s', async (name, changes) => {
    expect(SEQUENCES.reduce((sum, { inputIds }) => sum + inputIds.length, 0)).toBeGreaterThan(1024);
    const one = await quantize(`${name}, in order`, SEQUENCES, 2, changes);
    const other = await quantize(`${name}, reversed`, SEQUENCES.toReversed(), 2, changes);
    const bytes = ({ output }: { output: string }): Buffer => readFileSync(join(output, 'model.safetensors'));
    expect(bytes(other).equals(bytes(one))).toBe(true);
    expect(other.reports).toEqual(one.reports);
  });

  // Sums of other parts differ in their last bits, which now and then moves a value across the middle between two codes.
  // Following the drift is left out: what is rounded otherwise there changes what everything after it is calibrated for.
  it.each(Object.entries(METHODS).slice(0, 3))(
    'on the number of lanes, but for last bits, %s',
    async (name, changes) => {
      const [one, two] = await Promise.all([
        quantize(`${name}, one lane`, SEQUENCES, 1, changes),
        quantize(`${name}, three lanes`, SEQUENCES, 3, changes),
      ]);
      expect(differingCodes(one.output, two.output)).toBeLessThan(2e-3);
    },
  );
});

/** Share of the codes of two checkpoints that are not the same. */
function differingCodes(one: string, other: string): number {
  const [a, b] = [openCheckpoint(one), openCheckpoint(other)];
  let [differ, total] = [0, 0];
  for (const name of a.infos.keys()) {
    if (!name.endsWith('.weight_packed')) continue;
    const [ours, theirs] = [codesOf(a, name), codesOf(b, name)];
    total += ours.length;
    for (const [i, code] of ours.entries()) if (code !== theirs[i]) differ++;
  }
  a.close();
  b.close();
  expect(total).toBeGreaterThan(1e5);
  return differ / total;
}

function codesOf(checkpoint: Checkpoint, name: string): Int8Array {
  const bytes = checkpoint.readBytes(name);
  const words = new Int32Array(bytes.slice().buffer);
  return unpackRows(words, 8 * checkpoint.shape(name)[1]!, 4);
}

interface Statistics {
  readonly sums: readonly (readonly SharedSums[])[];
  readonly routed: readonly (readonly number[])[];
  readonly hidden: Float32Array;
}

/** What a set of sequences comes to in every layer of the unquantized model. */
async function statisticsOf(sequences: readonly Sequence[], lanes: number): Promise<Statistics> {
  const checkpoint = openCheckpoint(MODEL);
  const plan = planModel(checkpoint);
  checkpoint.close();
  const targets = chooseTargets(plan, { scheme: { bits: 4, symmetric: true, groupSize: 32 }, ignore: [] });
  const workers = await startModelLanes(MODEL, { lanes });
  try {
    const state = createPassState(plan, layOut(sequences), workers.count);
    await embedTokens(workers, [state]);
    const sums: (readonly SharedSums[])[] = [];
    const routed: number[][] = [];
    for (const layer of plan.layers) {
      sums.push(await runLayerBlocks(workers, state, layer.index, wantedTaps(layer, targets)));
      const routing = assignExperts(plan, state, layer.index)!;
      const { offsets } = routing.assignments;
      routed.push(Array.from({ length: offsets.length - 1 }, (_, e) => offsets[e + 1]! - offsets[e]!));
      await runRoutedExperts(workers, state, layer.index, routing);
      await combineExperts(workers, plan, state, layer.index);
    }
    return { sums, routed, hidden: readRows(state.hidden) };
  } finally {
    await workers.close();
  }
}

describe('statistics of shards of a calibration set', () => {
  it('add up to those of the whole, layer by layer', async () => {
    const cuts = [0, 5, 19, SEQUENCES.length];
    const whole = await statisticsOf(SEQUENCES, 2);
    const shards: Statistics[] = [];
    for (const [i, from] of cuts.slice(0, -1).entries())
      shards.push(await statisticsOf(SEQUENCES.slice(from, cuts[i + 1]), 1 + (i % 2)));
    for (const [layer, sums] of whole.sums.entries()) {
      expect(sums.length).toBeGreaterThan(1);
      for (const { tap, gram, absolute } of sums) {
        const parts = shards.map((shard) => shard.sums[layer]!.find((part) => part.tap === tap)!);
        expectSum(
          gram,
          parts.map((part) => part.gram),
          `layer ${layer} ${tap}`,
        );
        expectSum(
          absolute,
          parts.map((part) => part.absolute),
          `layer ${layer} ${tap}`,
        );
      }
      const counts = whole.routed[layer]!.map((_, e) =>
        shards.reduce((sum, { routed }) => sum + routed[layer]![e]!, 0),
      );
      expect(counts).toEqual(whole.routed[layer]);
    }
    const joined = shards.flatMap(({ hidden }) => [...hidden]);
    expectSum(whole.hidden, [Float32Array.from(joined)], 'hidden states');
  });
});

/** Within what adding in another order does to f32. */
function expectSum(whole: Float32Array, parts: readonly Float32Array[], what: string): void {
  const largest = whole.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const worst = whole.reduce((most, value, i) => {
    const sum = parts.reduce((total, part) => total + part[i]!, 0);
    return Math.max(most, Math.abs(sum - value));
  }, 0);
  expect(worst / largest, what).toBeLessThan(1e-5);
}
