import { openCheckpoint } from '../checkpoint/open.js';
import { InputError } from '../errors.js';
import type { TokenDivergence } from '../evaluate/divergence.js';
import { summarize, type Evaluation } from '../evaluate/summary.js';
import type { ModelPlan } from '../model/plan.js';
import { planModel } from '../model/registry.js';
import { createPassState, forwardPass, layOut, spans, type PassState } from './layer-pass.js';
import { startModelLanes, type LaneOptions, type ModelLanes } from './lanes.js';
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
  const reference = await startModelLanes(options.model, options);
  try {
    const state = yield* runModel(reference, plan, layout, 'reference', options.signal);
    for (const contender of options.contenders) {
      const directory = contender.kind === 'folder' ? contender.directory : options.model;
      const own = planFolder(directory, options.assume);
      if (own.vocabularySize !== plan.vocabularySize || own.hiddenSize !== plan.hiddenSize) {
        throw new InputError(`evaluate '${directory}': wanted the shape of '${options.model}', got another model`);
      }
      const lanes =
        contender.kind === 'folder'
          ? await startModelLanes(directory, options)
          : await startModelLanes(directory, options, contender.settings, true);
      let other: PassState;
      try {
        other = yield* runModel(lanes, own, layout, contender.name, options.signal);
      } finally {
        await lanes.close();
      }
      const divergence = await compare(reference, state, other, directory);
      yield { kind: 'compared', contender: contender.name, evaluation: summarize(divergence, layout.offsets, groups) };
    }
  } finally {
    await reference.close();
  }
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

async function* runModel(
  lanes: ModelLanes,
  plan: ModelPlan,
  layout: PassState['layout'],
  model: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<EvaluateEvent, PassState> {
  const state = createPassState(plan, layout, lanes.count);
  for await (const event of forwardPass(lanes, plan, state, signal)) {
    if (event.kind === 'layer-finished') yield { kind: 'pass', model, layer: event.layer, layers: event.layers };
  }
  return state;
}

async function compare(
  lanes: ModelLanes,
  reference: PassState,
  other: PassState,
  directory: string,
): Promise<TokenDivergence> {
  const { tokens, offsets, ids } = reference.layout;
  const ends = new Int32Array(tokens);
  for (let s = 0; s + 1 < offsets.length; s++) ends.fill(offsets[s + 1]!, offsets[s], offsets[s + 1]);
  const parts = await Promise.all(
    spans(tokens, lanes.count).map(([from, to], lane) =>
      lanes.call(lane, 'divergence', {
        other: directory,
        hidden: reference.hidden,
        otherHidden: other.hidden,
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
