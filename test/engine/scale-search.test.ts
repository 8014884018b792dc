import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseScales, rowsPerLinear, scaleCandidates, type ScaleCandidate } from '../../src/awq/scale-candidates.js';
import { scaleLosses } from '../../src/awq/scale-search.js';
import { DEFAULT_SEARCH } from '../../src/awq/settings.js';
import { addWeightMagnitude, createWeightMagnitude, meanWeightMagnitude } from '../../src/awq/statistics.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { addLosses } from '../../src/engine/quantize-lane.js';
import { forcedRows } from '../../src/engine/routed-rows.js';
import { planModel } from '../../src/model/registry.js';
import type { Linear, MoePlan } from '../../src/model/plan.js';
import { planBatches } from '../../src/runtime/batches.js';
import { loadExpert, type ExpertSums } from '../../src/runtime/expert-runner.js';
import { loadLayer } from '../../src/runtime/layer-runner.js';
import { createRowStore, openRowStore } from '../../src/runtime/row-store.js';
import { createScratch } from '../../src/runtime/scratch.js';
import { createSessionCache } from '../../src/runtime/sessions.js';
import type { TapSums } from '../../src/runtime/tap-sums.js';
import { createWeightReader, readLinear } from '../../src/runtime/weights.js';

const TOKENS = 2048;
const SEQUENCE = 256;
const EXPERTS = 12;
const SCHEME = { bits: 4, symmetric: true, groupSize: 128 } as const;

const checkpoint = openCheckpoint('test/models/polyglot-moe-18m');
const plan = planModel(checkpoint);
const layer = plan.layers[1]!;
const moe = layer.feedForward as MoePlan;
const reader = createWeightReader(checkpoint);
const runtime = { sessions: createSessionCache(), scratch: createScratch() };
afterAll(() => checkpoint.close());

/** Statistics of what each expert reads, each made to see all tokens. */
const statistics: ExpertSums[] = [];
beforeAll(async () => {
  const width = plan.hiddenSize;
  const [hidden, input] = [0, 1].map(() => openRowStore(createRowStore(TOKENS, width, null))) as [
    ReturnType<typeof openRowStore>,
    ReturnType<typeof openRowStore>,
  ];
  const table = checkpoint.read(plan.embedding.tensor);
  for (let token = 0; token < TOKENS; token++)
    hidden.write(token, table, ((token * token * 31 + token * 7) % plan.vocabularySize) * width, 1);
  const offsets = Int32Array.from({ length: TOKENS / SEQUENCE + 1 }, (_, i) => i * SEQUENCE);
  const chosen = new Int32Array(TOKENS * moe.topK);
  const weights = new Float32Array(TOKENS * moe.topK);
  const run = loadLayer(plan, layer, reader, runtime);
  for (const batch of planBatches(offsets, 4))
    await run.run(batch, hidden, { experts: { rows: input, chosen, weights }, mixerRows: null });
  const everyone = forcedRows(
    input,
    Int32Array.from({ length: TOKENS }, (_, i) => i),
  );
  for (let e = 0; e < EXPERTS; e++)
    statistics.push(await loadExpert(moe, e, reader, runtime).run(everyone, { input: true, inner: true }, {}));
});

function lossesOf(candidates: readonly ScaleCandidate[], linear: Linear, { gram }: TapSums, rows: number) {
  const { outFeatures, inFeatures } = linear;
  const weight = readLinear(reader, linear);
  const searched = {
    weight,
    outFeatures,
    inFeatures,
    statistics: { kind: 'gram', gram },
    lossWeight: 1,
    rows,
  } as const;
  return scaleLosses(candidates, searched, SCHEME, DEFAULT_SEARCH, 'BF16');
}

function candidatesFor(linears: readonly Linear[], { absolute }: TapSums): ScaleCandidate[] {
  const { inFeatures } = linears[0]!;
  const magnitude = createWeightMagnitude(inFeatures);
  for (const linear of linears)
    addWeightMagnitude(magnitude, readLinear(reader, linear), linear.outFeatures, inFeatures, SCHEME);
  return scaleCandidates(
    absolute.map((sum) => sum / TOKENS),
    meanWeightMagnitude(magnitude),
    DEFAULT_SEARCH,
  );
}

/** How much more is lost by the scales that some rows choose than by those that all rows choose. */
function excess(candidates: readonly ScaleCandidate[], some: Float64Array, all: Float64Array): number {
  const at = candidates.findIndex(({ scales }) => scales === chooseScales(candidates, some).scales);
  return all[at]! / chooseScales(candidates, all).loss - 1;
}

describe('a search that judges some rows', () => {
  it('loses under 1 % more in gates and ups, which share their scales', async () => {
    const linears = moe.experts.slice(0, EXPERTS).flatMap(({ gate, up }) => [gate, up]);
    const candidates = candidatesFor(linears, statistics[0]!.input!);
    const [some, all] = [new Float64Array(candidates.length), new Float64Array(candidates.length)];
    for (const [i, linear] of linears.entries()) {
      const input = statistics[i >> 1]!.input!;
      const rows = rowsPerLinear(linear.outFeatures, 2 * moe.experts.length, DEFAULT_SEARCH.rowBudget);
      addLosses(some, await lossesOf(candidates, linear, input, rows));
      addLosses(all, await lossesOf(candidates, linear, input, Infinity));
    }
    expect(excess(candidates, some, all)).toBeLessThan(0.01);
  });
});
