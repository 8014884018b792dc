import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint, openSafetensors } from '../../src/checkpoint/open.js';
import { forwardPass } from '../../src/engine/layer-pass.js';
import { createPassState, layOut } from '../../src/engine/pass-state.js';
import { startModelLanes } from '../../src/engine/lanes.js';
import type { Sequence } from '../../src/mix/sequence.js';
import { planModel } from '../../src/model/registry.js';
import { runQuantization } from '../../src/pipeline/quantize.js';
import { quantizeSettings } from '../../src/pipeline/settings.js';
import { parseRecipe } from '../../src/recipe/load.js';

/** A checkpoint to load, with the logits of our own run of it. */
export interface Case {
  readonly name: string;
  readonly folder: string;
  readonly inputIds?: readonly (readonly number[])[];
  readonly logits?: string;
  /** Where compressed-tensors' own converter puts an AutoAWQ checkpoint in its format. */
  readonly convertTo?: string;
}

const SEQUENCES = 24;
const SEQUENCE_LENGTH = 32;

/** Quantizes a conformance model on token ids at random, by the `quantize` part of a recipe. */
export async function quantizeFolder(name: string, model: string, quantize: string, into: string): Promise<Case> {
  const output = join(into, name);
  const recipe = await parseRecipe(
    `model: ${model}\nmix: {sources: [{dataset: 'builtin:languages'}]}\nquantize: ${quantize}\noutput: ${output}\n`,
    join(into, `${name}.yaml`),
  );
  const checkpoint = openCheckpoint(model);
  const settings = quantizeSettings(recipe.quantize, checkpoint);
  const sequences = randomSequences(planModel(checkpoint).vocabularySize);
  checkpoint.close();
  const run = runQuantization({ model, sequences, settings, floor: 0, output, existing: 'refuse', lanes: 1 });
  while ((await run.next()).done !== true);
  const reference = openSafetensors(join(model, 'reference.safetensors'));
  const [, length] = reference.shape('input_ids') as [number, number];
  const ids = [...reference.read('input_ids')];
  reference.close();
  const inputIds = Array.from({ length: ids.length / length }, (_, i) => ids.slice(i * length, (i + 1) * length));
  return withLogits(name, output, inputIds, into);
}

/** Runs a quantized checkpoint in our own engine and keeps its logits. */
export async function withLogits(
  name: string,
  folder: string,
  inputIds: readonly (readonly number[])[],
  into: string,
): Promise<Case> {
  const checkpoint = openCheckpoint(folder);
  const plan = planModel(checkpoint);
  checkpoint.close();
  const layout = layOut(inputIds.map((ids) => ({ inputIds: Int32Array.from(ids) })));
  const lanes = await startModelLanes(folder, { lanes: 1 });
  try {
    const state = createPassState(plan, layout, lanes.count);
    for await (const _ of forwardPass(lanes, plan, state));
    const { logits } = await lanes.call(0, 'logits', { hidden: state.hidden, from: 0, to: layout.tokens });
    const path = join(into, `${name}.logits`);
    writeFileSync(path, new Uint8Array(logits.buffer, logits.byteOffset, logits.byteLength));
    return { name, folder, inputIds, logits: path };
  } finally {
    await lanes.close();
  }
}

/** Token ids at random, the same in every run. */
export function randomSequences(vocabularySize: number): Sequence[] {
  let state = 1;
  const next = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  return Array.from({ length: SEQUENCES }, (_, i) => ({
    inputIds: Int32Array.from({ length: SEQUENCE_LENGTH }, () => Math.floor(next() * vocabularySize)),
    channels: new Uint8Array(SEQUENCE_LENGTH),
    language: 'und',
    category: 'random',
    source: 'random',
    revision: null,
    license: null,
    recordId: String(i),
    window: 0,
  }));
}
