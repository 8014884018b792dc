import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { withMappedEdges } from '../awq/mapped-edges.js';
import { chooseTargets, type Targets } from '../awq/targets.js';
import { openCheckpoint, type Checkpoint } from '../checkpoint/open.js';
import type { RunKey } from '../checkpoint/journal.js';
import { createCheckpointWriter, type CheckpointWriter } from '../checkpoint/writer.js';
import { quantizedConfig } from '../checkpoint/config.js';
import { encodeTensor } from '../checkpoint/encode.js';
import type { RoutingBatch } from '../coverage/routing.js';
import { InterruptedError } from '../errors.js';
import type { ModelPlan } from '../model/plan.js';
import { planModel } from '../model/registry.js';
import type { Sequence } from '../mix/sequence.js';
import { assignExperts, embedTokens } from './layer-pass.js';
import { createFollower, createPassState, layOut, type PassState, type SpillPath } from './pass-state.js';
import { startModelLanes, type LaneOptions } from './lanes.js';
import { sampleLanguages } from './language-sample.js';
import { outputFormat } from './output-format.js';
import { planOutput, type OutputPlan } from './output-plan.js';
import type { QuantizeContext } from './quantize-context.js';
import type { LayerReport } from './layer-report.js';
import { quantizeDriftingLayer } from './drift-layer.js';
import { quantizeLayer, type QuantizedLayer } from './quantize-layer.js';
import type { QuantizeSettings } from './quantize-settings.js';
import { openRunState, type RunState } from './run-state.js';

export interface QuantizeOptions extends LaneOptions {
  readonly model: string;
  readonly sequences: readonly Sequence[];
  readonly settings: QuantizeSettings;
  readonly output: string;
  /** What determined the result besides the model and the settings; see `CheckpointWriter`. */
  readonly key: RunKey;
  readonly existing?: 'refuse' | 'resume' | 'replace' | undefined;
  readonly spill?: SpillPath | undefined;
  readonly signal?: AbortSignal | undefined;
}

export type QuantizeEvent =
  | { readonly kind: 'planned'; readonly plan: ModelPlan; readonly targets: Targets; readonly resumedLayers: number }
  | { readonly kind: 'layer-started'; readonly layer: number; readonly layers: number }
  | { readonly kind: 'routing'; readonly layer: number; readonly batch: RoutingBatch }
  | { readonly kind: 'layer-finished'; readonly layer: number; readonly layers: number; readonly report: LayerReport }
  | { readonly kind: 'finished'; readonly reports: readonly LayerReport[] };

/**
 * Quantizes a model layer by layer and writes the checkpoint. Each layer is durable the moment it is finished; an
 * interrupted run goes on with `existing: 'resume'`. The checkpoint's config.json is written by `finish`, which the
 * last event precedes, so that a broken run never looks finished.
 */
export async function* quantizeModel(options: QuantizeOptions): AsyncGenerator<QuantizeEvent> {
  const { settings, output, signal } = options;
  const checkpoint = openCheckpoint(options.model);
  const plan = withMappedEdges(planModel(checkpoint, options.assume), settings.mappings);
  const targets = chooseTargets(plan, settings);
  const format = outputFormat(settings.format);
  const outputPlan = planOutput(checkpoint, plan, targets, format, settings.scaleDtype);
  const configText = readFileSync(join(options.model, 'config.json'), 'utf8');
  const config = quantizedConfig(configText, format.quantizationConfig(outputPlan.layout));
  const writer = await createCheckpointWriter(output, {
    entries: outputPlan.entries,
    key: options.key,
    existing: options.existing ?? 'refuse',
  });
  const lanes = await startModelLanes(options.model, options, settings);
  let settling: SettlingLayer | null = null;
  let rest: Promise<void> | null = null;
  try {
    const state = createPassState(plan, layOut(options.sequences), lanes.count, {
      spill: options.spill,
      halves: settings.followDrift,
    });
    const context: QuantizeContext = {
      lanes,
      checkpoint,
      plan,
      settings,
      targets,
      state,
      sample: sampleLanguages(options.sequences),
      put: async (tensors) => {
        // What an interrupted run has finished of a layer is there already.
        for (const { name, bytes } of tensors) if (!writer.written.has(name)) await writer.write(name, bytes);
      },
    };
    const follower = settings.followDrift ? createFollower(plan, state, options.spill) : null;
    const streams = follower === null ? [state] : [state, follower];
    const run = await openRunState(output, plan.layers.length, streams, lanes, options.existing === 'resume');
    yield { kind: 'planned', plan, targets, resumedLayers: run.finishedLayers };
    const layers = plan.layers.length;
    const reports: LayerReport[] = [];
    for (let layer = 0; layer < run.finishedLayers; layer++) {
      yield { kind: 'layer-started', layer, layers };
      const report = run.restore(layer);
      const routing = assignExperts(plan, state, layer);
      if (routing !== null) yield { kind: 'routing', layer, batch: routing.batch };
      reports.push(report);
      yield { kind: 'layer-finished', layer, layers, report };
    }
    if (run.finishedLayers === 0) await embedTokens(lanes, streams);
    for (let layer = run.finishedLayers; layer < layers; layer++) {
      const interrupted = signal?.aborted === true;
      // The lanes go on while the layer before reaches the disk and its routing is counted.
      const quantizing = interrupted ? null : runLayer(context, follower, layer);
      quantizing?.catch(() => undefined);
      rest ??= copyRest(checkpoint, outputPlan, writer, settings.scaleDtype);
      rest.catch(() => undefined);
      if (settling !== null) reports.push(yield* settling.finish());
      if (quantizing === null) throw new InterruptedError(`interrupted; ${layer} of ${layers} layers are finished`);
      yield { kind: 'layer-started', layer, layers };
      settling = await settleLayer(await quantizing, { layer, layers, output: outputPlan, writer, run });
    }
    if (settling !== null) reports.push(yield* settling.finish());
    settling = null;
    await (rest ?? copyRest(checkpoint, outputPlan, writer, settings.scaleDtype));
    yield { kind: 'finished', reports };
    await writer.finish({ config, sideFilesFrom: options.model });
    await run.remove();
  } finally {
    await settling?.durable.catch(() => undefined);
    await rest?.catch(() => undefined);
    await lanes.close();
    await writer.close().catch(() => undefined);
    checkpoint.close();
  }
}

function runLayer(context: QuantizeContext, follower: PassState | null, index: number): Promise<QuantizedLayer> {
  const layer = context.plan.layers[index]!;
  return follower === null ? quantizeLayer(context, layer) : quantizeDriftingLayer(context, follower, layer);
}

/** A layer that is quantized, on its way to the disk. */
interface SettlingLayer {
  readonly durable: Promise<unknown>;
  /** Waits until the layer survives a crash, and tells of it. */
  finish(): AsyncGenerator<QuantizeEvent, LayerReport>;
}

/** Answers when the layer is written, so that the streams may go on. */
async function settleLayer(
  { report, routing }: QuantizedLayer,
  at: {
    readonly layer: number;
    readonly layers: number;
    readonly output: OutputPlan;
    readonly writer: CheckpointWriter;
    readonly run: RunState;
  },
): Promise<SettlingLayer> {
  const { layer, layers, output, writer, run } = at;
  const missing = output.byLayer[layer]!.find((name) => !writer.written.has(name));
  if (missing !== undefined) throw new Error(`layer ${layer} was quantized without '${missing}'`);
  // The next layer's routing takes this one's place.
  const batch = routing === null ? null : { ...routing.batch, ...copied(routing.batch) };
  const saved = await run.save(layer);
  const durable = Promise.all([writer.commit(), saved.durable]).then(() => run.finish(layer, report));
  durable.catch(() => undefined);
  return {
    durable,
    async *finish() {
      if (batch !== null) yield { kind: 'routing', layer, batch };
      await durable;
      yield { kind: 'layer-finished', layer, layers, report };
      return report;
    },
  };
}

function copied({ chosen, weights }: RoutingBatch): Pick<RoutingBatch, 'chosen' | 'weights'> {
  return { chosen: chosen.slice(), weights: weights.slice() };
}

/** Tensors that no layer brings, beside the lanes' work: copied bit for bit, or decoded where the source's encoding ends with its old config. */
async function copyRest(
  checkpoint: Checkpoint,
  output: OutputPlan,
  writer: CheckpointWriter,
  dtype: 'BF16' | 'F16',
): Promise<void> {
  for (const name of output.copied) if (!writer.written.has(name)) await writer.copy(checkpoint, name);
  for (const name of output.decoded) {
    if (writer.written.has(name)) continue;
    const shape = checkpoint.shape(name);
    await writer.write(name, decodedPieces(checkpoint, name, shape, dtype));
  }
  await writer.commit();
}

function* decodedPieces(
  checkpoint: Checkpoint,
  name: string,
  shape: readonly number[],
  dtype: 'BF16' | 'F16',
): Iterable<Uint8Array> {
  const rows = shape[0] ?? 1;
  const width = shape.slice(1).reduce((product, size) => product * size, 1);
  const step = Math.max(1, Math.floor((4 << 20) / width));
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step);
    const values = checkpoint.read(name, { rows: [from, to] });
    yield encodeTensor(name, dtype, [values.length], values).bytes;
  }
}
