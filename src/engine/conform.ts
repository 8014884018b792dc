import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint, openSafetensors } from '../checkpoint/open.js';
import type { TensorSource } from '../checkpoint/tensor-source.js';
import { InputError } from '../errors.js';
import type { ModelPlan } from '../model/plan.js';
import { planModel } from '../model/registry.js';
import { forwardPass, readRows } from './layer-pass.js';
import { createPassState, layOut } from './pass-state.js';
import { startModelLanes, type LaneOptions } from './lanes.js';

/** The comparison of one model folder with its reference. */
export interface ConformanceResult {
  readonly directory: string;
  readonly family: string;
  readonly tensors: readonly { readonly name: string; readonly error: number; readonly magnitude: number }[];
  readonly logits: { readonly error: number; readonly tolerance: number };
  readonly router: { readonly tokens: number; readonly different: number; readonly excused: number };
  readonly pass: boolean;
}

/** Logits may differ by this share of their largest magnitude. */
const LOGITS_TOLERANCE = 2e-4;
/** Router choices may differ where the reference's own k-th and (k+1)-th scores are this close. */
const ROUTER_TIE = 1e-5;

/**
 * Runs a model on the reference's input and compares hidden states, router choices and logits with what transformers
 * computed in f32 from the same weights.
 */
export async function conform(directory: string, options: LaneOptions = {}): Promise<ConformanceResult> {
  const checkpoint = openCheckpoint(directory);
  const plan = planModel(checkpoint, options.assume);
  const path = join(directory, 'reference.safetensors');
  if (!existsSync(path)) throw new InputError(`conform '${directory}': wanted a reference.safetensors, found none`);
  const reference = openSafetensors(path);
  const [batch, length] = reference.shape('input_ids') as [number, number];
  const ids = Int32Array.from(reference.read('input_ids'));
  const sequences = Array.from({ length: batch }, (_, i) => ({ inputIds: ids.slice(i * length, (i + 1) * length) }));
  const lanes = await startModelLanes(directory, options);
  try {
    const state = createPassState(plan, layOut(sequences), lanes.count);
    const tensors: { name: string; error: number; magnitude: number }[] = [];
    const router = { tokens: 0, different: 0, excused: 0 };
    const compare = (name: string, got: Float32Array): void => {
      if (reference.has(name)) tensors.push({ name, ...largestError(got, reference.read(name)) });
    };
    for await (const event of forwardPass(lanes, plan, state)) {
      if (event.kind === 'layer-started') compare(`hidden_states.${event.layer}`, readRows(state.hidden));
      if (event.kind === 'routing')
        compareRouting(plan, reference, event.layer, event.batch.chosen, event.batch.topK, router);
    }
    const { logits, normed } = await lanes.call(0, 'logits', {
      hidden: state.hidden,
      from: 0,
      to: state.layout.tokens,
    });
    compare(`hidden_states.${plan.layers.length}`, normed);
    const { error, magnitude } = largestError(logits, reference.read('logits'));
    const tolerance = LOGITS_TOLERANCE * magnitude;
    return {
      directory,
      family: plan.family,
      tensors,
      logits: { error, tolerance },
      router,
      pass: error <= tolerance && router.different === 0,
    };
  } finally {
    await lanes.close();
    reference.close();
    checkpoint.close();
  }
}

function largestError(got: Float32Array, wanted: Float32Array): { error: number; magnitude: number } {
  if (got.length !== wanted.length) return { error: Infinity, magnitude: 0 };
  let error = 0;
  let magnitude = 0;
  for (let i = 0; i < got.length; i++) {
    const difference = Math.abs(got[i]! - wanted[i]!);
    if (!(difference <= error)) error = Number.isNaN(difference) ? Infinity : difference;
    magnitude = Math.max(magnitude, Math.abs(wanted[i]!));
  }
  return { error, magnitude };
}

/** Compares chosen sets with the reference's integer output, or with the k highest of its scores where it has none. */
function compareRouting(
  plan: ModelPlan,
  reference: TensorSource,
  layer: number,
  chosen: Int32Array,
  topK: number,
  totals: { tokens: number; different: number; excused: number },
): void {
  // transformers names modules by its own classes, whatever the checkpoint's prefix.
  const { index } = plan.layers[layer]!;
  const outputs = [...reference.infos.values()].filter(
    ({ name }) => name.startsWith('router.') && name.includes(`.layers.${index}.`),
  );
  const choices = outputs.find(({ dtype, shape }) => (dtype === 'I64' || dtype === 'I32') && shape.at(-1) === topK);
  const scores =
    outputs.find(({ name, shape }) => name.endsWith('.out0') && shape.at(-1)! > topK) ??
    outputs.find(({ shape }) => shape.at(-1)! > topK);
  if (choices === undefined && scores === undefined) return;
  const width = scores?.shape.at(-1) ?? 0;
  const scoreValues = scores === undefined ? null : reference.read(scores.name);
  const choiceValues = choices === undefined ? null : reference.read(choices.name);
  const tokens = chosen.length / topK;
  for (let token = 0; token < tokens; token++) {
    const row = scoreValues?.subarray(token * width, (token + 1) * width);
    const ranked = row === undefined ? [] : Array.from(row.keys()).sort((a, b) => row[b]! - row[a]!);
    const wanted =
      choiceValues === null ? ranked.slice(0, topK) : [...choiceValues.subarray(token * topK, (token + 1) * topK)];
    const got = new Set(chosen.subarray(token * topK, (token + 1) * topK));
    totals.tokens += 1;
    if (wanted.every((expert) => got.has(expert))) continue;
    const tie = row !== undefined && Math.abs(row[ranked[topK - 1]!]! - row[ranked[topK]!]!) < ROUTER_TIE;
    if (tie) totals.excused += 1;
    else totals.different += 1;
  }
}
