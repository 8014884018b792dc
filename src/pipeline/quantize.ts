import { createHash } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { withMappedEdges } from '../awq/mapped-edges.js';
import { chooseTargets, type Targets } from '../awq/targets.js';
import { openCheckpoint, type Checkpoint } from '../checkpoint/open.js';
import { assertApart } from '../checkpoint/output-folder.js';
import { verifyCheckpoint } from '../checkpoint/verify/verify.js';
import type { Finding } from '../checkpoint/verify/finding.js';
import { createCoverageCounter } from '../coverage/count.js';
import type { Coverage } from '../coverage/coverage.js';
import { checkIds, evaluateModels, type EvaluateEvent } from '../engine/evaluate.js';
import { quantizeModel, type QuantizeEvent } from '../engine/quantize.js';
import { memoryEstimate } from '../engine/memory.js';
import { planSpill, storeNames } from '../engine/spill.js';
import type { LayerReport } from '../engine/layer-report.js';
import type { LaneOptions } from '../engine/lanes.js';
import type { QuantizeSettings } from '../engine/quantize-settings.js';
import { InputError } from '../errors.js';
import type { Evaluation } from '../evaluate/summary.js';
import { planModel } from '../model/registry.js';
import type { ModelPlan } from '../model/plan.js';
import type { Sequence } from '../mix/sequence.js';
import { VERSION } from '../version.js';
import { inCanonicalOrder } from './canonical-order.js';
import { correspondence } from './correspondence.js';

export interface QuantizeJob extends LaneOptions {
  readonly model: string;
  readonly sequences: readonly Sequence[];
  readonly settings: QuantizeSettings;
  readonly floor: number;
  readonly floors?: Readonly<Record<string, number>>;
  readonly output: string;
  readonly existing: 'refuse' | 'resume' | 'replace';
  /** Bytes of memory to stay within; what does not fit of the hidden states goes to files in the output folder. */
  readonly memory?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface QuantizeOutcome {
  readonly plan: ModelPlan;
  readonly targets: Targets;
  readonly coverage: Coverage;
  readonly reports: readonly LayerReport[];
}

/**
 * Quantizes and counts in one pass: the audit rides along on the routing that calibration needs anyway. The order of the
 * sequences does not matter.
 */
export async function* runQuantization(job: QuantizeJob): AsyncGenerator<QuantizeEvent, QuantizeOutcome> {
  const { model, settings, floor, floors } = job;
  assertApart(model, job.output);
  const sequences = inCanonicalOrder(job.sequences);
  const checkpoint = openCheckpoint(model);
  const plan = planModel(checkpoint, job.assume);
  const targets = chooseTargets(plan, settings);
  for (const { inputIds } of sequences) checkIds(inputIds, plan);
  const counter = createCoverageCounter({ sequences, floor, ...(floors === undefined ? {} : { floors }) });
  let reports: readonly LayerReport[] = [];
  const key = runKey(checkpoint, sequences, settings);
  checkpoint.close();
  const lanes = job.lanes ?? availableParallelism();
  const streams = settings.followDrift ? 2 : 1;
  const tokens = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const estimate = memoryEstimate(plan, targets, { tokens, lanes, streams });
  const spill = planSpill(job.output, job.memory ?? null, estimate, storeNames(plan, lanes, streams));
  try {
    for await (const event of quantizeModel({ ...job, sequences, lanes, key, spill: spill.path })) {
      if (event.kind === 'routing') counter.add(event.batch);
      if (event.kind === 'finished') {
        reports = event.reports;
        assertUnchanged(model, key['model']!);
      }
      yield event;
    }
  } finally {
    spill.remove();
  }
  const coverage = counter.finish({ model: { path: model, architecture: plan.architecture } });
  return { plan, targets, coverage, reports };
}

/** Everything that determines the result, so that a run is never resumed under other settings. */
function runKey(
  checkpoint: Checkpoint,
  sequences: readonly Sequence[],
  settings: QuantizeSettings,
): Record<string, string> {
  const mix = createHash('sha256');
  for (const { inputIds } of sequences)
    mix.update(new Uint8Array(inputIds.buffer, inputIds.byteOffset, inputIds.byteLength)).update('\n');
  return {
    version: VERSION,
    model: modelState(checkpoint),
    mix: mix.digest('hex'),
    ...flattened(settings),
  };
}

/** Changes whenever a file of the model does. */
function modelState({ directory, infos }: Checkpoint): string {
  const state = createHash('sha256').update(readFileSync(join(directory, 'config.json')));
  const shards = new Set([...infos.values()].map(({ shard }) => shard));
  for (const shard of [...shards].sort()) {
    // Size and time stand for the content: hashing a terabyte of weights would take longer than some runs.
    const { size, mtimeMs } = statSync(join(directory, shard));
    state.update(`${shard} ${size} ${mtimeMs}\n`);
  }
  return state.digest('hex');
}

/** A checkpoint made from two versions of a model would look finished and be neither. */
function assertUnchanged(model: string, before: string): void {
  const checkpoint = openCheckpoint(model);
  const now = modelState(checkpoint);
  checkpoint.close();
  if (now !== before) {
    throw new InputError(`quantize '${model}': its files were changed during the run; start anew with --replace`);
  }
}

/** One entry per setting, so that a refused resume names just what changed: `rounding.clip was true, is false`. */
function flattened(value: object, prefix = ''): Record<string, string> {
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
      typeof inner === 'object' && inner !== null && !Array.isArray(inner)
        ? Object.entries(flattened(inner, `${prefix}${key}.`))
        : [[`${prefix}${key}`, inner === Infinity ? 'Infinity' : JSON.stringify(inner)] as const],
    ),
  );
}

/** Re-reads the checkpoint and checks every invariant; see `src/checkpoint/verify`. */
export async function* verifyOutput(
  output: string,
  model: string,
  settings: QuantizeSettings | null,
  assume?: string,
): AsyncGenerator<string, readonly Finding[]> {
  const checkpoint = openCheckpoint(model);
  const plan = withMappedEdges(planModel(checkpoint, assume), settings?.mappings ?? null);
  const targets = settings === null ? targetsOfOutput(plan, output) : chooseTargets(plan, settings);
  const how = correspondence(checkpoint, plan, targets);
  checkpoint.close();
  const findings: Finding[] = [];
  const replacedFiles = new Set(['README.md', 'evenkeel.json']);
  for await (const event of verifyCheckpoint(output, model, { ...how, replacedFiles })) {
    if (event.type === 'step') yield event.step;
    if (event.type === 'finding') findings.push(event);
  }
  return findings;
}

/** Without the recipe, the checkpoint itself says what it quantized. */
function targetsOfOutput(plan: ModelPlan, output: string): Targets {
  const written = openCheckpoint(output);
  const packed = new Set(
    [...written.tensors.values()]
      .filter(({ encoding }) => encoding !== 'plain')
      .map(({ name }) => name.replace(/\.weight$/, '')),
  );
  written.close();
  const scheme = { bits: 4, symmetric: true, groupSize: 128 } as const;
  const all = chooseTargets(plan, { scheme: { ...scheme, groupSize: 32 }, ignore: [] });
  const modules = [...all.quantized.keys(), ...all.kept.keys()];
  return {
    quantized: new Map(modules.filter((module) => packed.has(module)).map((module) => [module, scheme])),
    kept: new Map(modules.filter((module) => !packed.has(module)).map((module) => [module, 'kept'])),
    fallbacks: new Map(),
  };
}

export interface Comparison {
  readonly quantized: Evaluation;
  readonly roundToNearest: Evaluation | null;
}

/** Held-out divergence of the checkpoint, and of plain rounding with the same scheme when asked. */
export async function* compareOutput(
  job: Pick<QuantizeJob, 'model' | 'output' | 'settings' | 'signal' | keyof LaneOptions>,
  sequences: readonly Sequence[],
  withBaseline: boolean,
): AsyncGenerator<EvaluateEvent, Comparison> {
  const results = new Map<string, Evaluation>();
  const contenders = [
    { kind: 'folder', name: 'quantized', directory: job.output } as const,
    ...(withBaseline ? [{ kind: 'round-to-nearest', name: 'round to nearest', settings: job.settings } as const] : []),
  ];
  for await (const event of evaluateModels({ ...job, contenders, sequences })) {
    if (event.kind === 'compared') results.set(event.contender, event.evaluation);
    yield event;
  }
  return { quantized: results.get('quantized')!, roundToNearest: results.get('round to nearest') ?? null };
}
