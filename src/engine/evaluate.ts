import { openCheckpoint } from '../checkpoint/open.js';
import { InputError } from '../errors.js';
import type { TokenDivergence } from '../evaluate/divergence.js';
import { summarize, type Evaluation } from '../evaluate/summary.js';
import type { ModelPlan } from '../model/plan.js';
import { planModel } from '../model/registry.js';
import { createRowStore } from '../runtime/row-store.js';
import { forwardPass, spans } from './layer-pass.js';
import { createPassState, layOut, type PassState } from './pass-state.js';
import { startLaneThreads, startModelLanes, type LaneOptions, type ModelLanes } from './lanes.js';
import type { QuantizeSettings } from './quantize-settings.js';

/** A model to compare with the reference: a folder, or the reference as plain rounding would leave it. */
export type Contender =
  | { readonly kind: 'folder'; readonly name: string; readonly directory: string }
  | { readonly kind: 'round-to-nearest'; readonly name: string; readonly settings: QuantizeSettings };

export interface EvaluateOptions extends LaneOptions {
  readonly model: string;
  readonly contenders: readonly Contender[];
  readonly sequences: readonly { readonly inputIds: Int32Array; readonly language: string }[];
  readonly signal?: AbortSignal | undefined;
}

export type EvaluateEvent =
  | { readonly kind: 'pass'; readonly model: string; readonly layer: number; readonly layers: number }
  | { readonly kind: 'compared'; readonly contender: string; readonly evaluation: Evaluation };

/**
 * Runs the reference and each contender over the sequences and compares their next-token distributions, per language:
 * perplexity of both, KL in nats per token over every position, agreement of the likeliest token.
 */
export async function* evaluateModels(options: EvaluateOptions): AsyncGenerator<EvaluateEvent> {
  const plan = planFolder(options.model, options.assume);
  const layout = layOut(options.sequences);
  checkIds(new Int32Array(layout.ids), plan);
  const groups = options.sequences.map(({ language }) => language);
  const threads = options.threads ?? startLaneThreads(options.lanes);
  try {
    const state = createPassState(plan, layout, threads.lanes.count);
    yield* runModel({ ...options, threads }, { plan, state, name: 'reference' }, () => Promise.resolve());
    // The contenders take turns in one set of buffers; only the reference's last hidden states must stay.
    const other = { ...state, hidden: createRowStore(layout.tokens, plan.hiddenSize, null) };
    for (const contender of options.contenders) {
      const directory = contender.kind === 'folder' ? contender.directory : options.model;
      const own = planFolder(directory, options.assume);
      if (shapeOf(own) !== shapeOf(plan)) {
        throw new InputError(`evaluate '${directory}': wanted the shape of '${options.model}', got another model`);
      }
      const settings = contender.kind === 'folder' ? null : contender.settings;
      const pass = { plan: own, state: other, name: contender.name, settings };
      const divergence = yield* runModel({ ...options, threads, model: directory }, pass, (lanes) =>
        compare(lanes, state, other, options.model),
      );
      yield { kind: 'compared', contender: contender.name, evaluation: summarize(divergence, layout.offsets, groups) };
    }
  } finally {
    if (options.threads === undefined) await threads.close();
  }
}

/** What two models must share to run in the same buffers, and for their distributions to be compared. */
function shapeOf({ vocabularySize, hiddenSize, layers }: ModelPlan): string {
  const chosen = layers.map(({ feedForward }) => (feedForward.kind === 'moe' ? feedForward.topK : 0));
  return [vocabularySize, hiddenSize, ...chosen].join(' ');
}

function planFolder(directory: string, assume: string | undefined): ModelPlan {
  const checkpoint = openCheckpoint(directory);
  const plan = planModel(checkpoint, assume);
  checkpoint.close();
  return plan;
}

/** @throws InputError when a token is outside the model's vocabulary: the tokenizer does not fit. */
export function checkIds(ids: Int32Array, { vocabularySize }: ModelPlan): void {
  const at = ids.findIndex((id) => id < 0 || id >= vocabularySize);
  if (at !== -1)
    throw new InputError(
      `feed token ${ids[at]} to the model: wanted ids below its vocabulary of ${vocabularySize}; the tokenizer does not fit the model`,
    );
}

interface EvaluatedModel {
  readonly plan: ModelPlan;
  readonly state: PassState;
  readonly name: string;
  /** Settings whose scheme the weights are rounded to while they are read; null runs them as they are stored. */
  readonly settings?: QuantizeSettings | null;
}

/** Runs a model over the sequences, and then something else on its lanes. */
async function* runModel<T>(
  options: LaneOptions & Pick<EvaluateOptions, 'model' | 'signal'>,
  { plan, state, name, settings = null }: EvaluatedModel,
  then: (lanes: ModelLanes) => Promise<T>,
): AsyncGenerator<EvaluateEvent, T> {
  const lanes = await startModelLanes(options.model, options, settings, settings !== null);
  try {
    for await (const event of forwardPass(lanes, plan, state, { signal: options.signal })) {
      if (event.kind === 'layer-finished')
        yield { kind: 'pass', model: name, layer: event.layer, layers: event.layers };
    }
    return await then(lanes);
  } finally {
    await lanes.close();
  }
}

async function compare(
  lanes: ModelLanes,
  reference: PassState,
  state: PassState,
  directory: string,
): Promise<TokenDivergence> {
  const { tokens, offsets, ids } = reference.layout;
  const ends = new Int32Array(tokens);
  for (let s = 0; s + 1 < offsets.length; s++) ends.fill(offsets[s + 1]!, offsets[s], offsets[s + 1]);
  const parts = await Promise.all(
    spans(tokens, lanes.count).map(([from, to], lane) =>
      lanes.call(lane, 'divergence', {
        reference: directory,
        referenceHidden: reference.hidden,
        hidden: state.hidden,
        ids,
        ends: ends.slice(from, to),
        from,
        to,
      }),
    ),
  );
  const join = <T extends Float64Array | Uint8Array>(target: T, pick: (part: TokenDivergence) => T): T => {
    let at = 0;
    for (const part of parts) {
      target.set(pick(part), at);
      at += pick(part).length;
    }
    return target;
  };
  return {
    kl: join(new Float64Array(tokens), ({ kl }) => kl as Float64Array<ArrayBuffer>),
    surprise: join(new Float64Array(tokens), ({ surprise }) => surprise as Float64Array<ArrayBuffer>),
    otherSurprise: join(new Float64Array(tokens), ({ otherSurprise }) => otherSurprise as Float64Array<ArrayBuffer>),
    agrees: join(new Uint8Array(tokens), ({ agrees }) => agrees as Uint8Array<ArrayBuffer>),
  };
}
