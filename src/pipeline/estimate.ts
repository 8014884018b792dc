import { existsSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { chooseTargets } from '../awq/targets.js';
import { openCheckpoint } from '../checkpoint/open.js';
import { byteLength } from '../checkpoint/shard-layout.js';
import { startModelLanes, type LaneOptions } from '../engine/lanes.js';
import { memoryEstimate } from '../engine/memory.js';
import { outputFormat } from '../engine/output-format.js';
import { planOutput } from '../engine/output-plan.js';
import type { Measured, ProbeMeasurement } from '../engine/probe-lane.js';
import type { QuantizeSettings } from '../engine/quantize-settings.js';
import { layerWork, totalWork, type LayerWork } from '../engine/work.js';
import type { LayerPlan } from '../model/plan.js';
import { planModel } from '../model/registry.js';

export interface EstimateJob extends LaneOptions {
  readonly model: string;
  readonly settings: QuantizeSettings;
  readonly tokens: number;
  readonly sequenceLength: number;
  readonly output: string;
  readonly memory?: number | undefined;
}

/** What quantizing would take on this machine. Building the mix and evaluating the result are not part of it. */
export interface Estimate {
  readonly layers: number;
  readonly tokens: number;
  readonly lanes: number;
  readonly quantizedLinears: number;
  readonly keptLinears: number;
  readonly sourceBytes: number;
  readonly outputBytes: number;
  readonly seconds: number;
  readonly peakMemoryBytes: number;
  readonly diskBytes: number;
  readonly free: { readonly memoryBytes: number; readonly diskBytes: number };
  readonly probeSeconds: number;
  /** What does not suffice, and what would help; empty when the run fits. */
  readonly shortages: readonly string[];
}

/** Weights are read for the magnitudes, the forward run, the search, and once more to be quantized. */
const EXPERT_READS = 4;
/** Threads that start, load onnxruntime and compile; and rows copied between stores per second and lane. */
const START_SECONDS = 1.2;
const COPIED_BYTES_PER_SECOND = 2e9;
/** Times that a routed row is copied: an expert's input, and its sum in and out; for the Gram, once more. */
const ROW_COPIES = { 1: 4, 2: 7 } as const;

/**
 * Estimates time, memory and disk: what the method asks for is counted from shapes, and how fast this machine does each
 * part of it is measured on the model's own weights, on all lanes at once, in a few seconds.
 */
export async function estimateQuantization(job: EstimateJob): Promise<Estimate> {
  const { model, settings, tokens, sequenceLength, lanes = availableParallelism() } = job;
  const checkpoint = openCheckpoint(model);
  const plan = planModel(checkpoint, job.assume);
  const targets = chooseTargets(plan, settings);
  const { entries } = planOutput(checkpoint, plan, targets, outputFormat(settings.format), settings.scaleDtype);
  const sourceBytes = [...checkpoint.infos.values()].reduce((sum, info) => sum + byteLength(info), 0);
  checkpoint.close();
  const works = plan.layers.map((layer) => layerWork(layer, targets, settings, { tokens, sequenceLength }));
  const heaviest = works.reduce((best, work, i) => (totalWork(work) > totalWork(works[best]!) ? i : best), 0);

  const start = performance.now();
  const pool = await startModelLanes(model, { ...job, lanes }, settings);
  let measured: readonly ProbeMeasurement[];
  try {
    measured = await Promise.all(
      Array.from({ length: pool.count }, (_, lane) => pool.call(lane, 'probe', { layer: heaviest, sequenceLength })),
    );
  } finally {
    await pool.close();
  }
  const probeSeconds = (performance.now() - start) / 1000;

  const streams = settings.followDrift ? 2 : 1;
  const routedRows = plan.layers.reduce(
    (sum, { feedForward }) => sum + (feedForward.kind === 'moe' ? tokens * feedForward.topK : 0),
    0,
  );
  const copied = routedRows * plan.hiddenSize * 4 * ROW_COPIES[streams];
  const seconds =
    START_SECONDS +
    copied / (COPIED_BYTES_PER_SECOND * lanes) +
    plan.layers.reduce((sum, layer, i) => sum + layerSeconds(layer, works[i]!, measured), 0);
  const memory = memoryEstimate(plan, targets, { tokens, lanes, streams });
  const wanted = memory.workingBytes + memory.stores * memory.storeBytes;
  const peakMemoryBytes = Math.min(wanted, Math.max(job.memory ?? Infinity, memory.workingBytes));
  const outputBytes = entries.reduce((sum, entry) => sum + byteLength(entry), 0);
  const topK = Math.max(
    0,
    ...plan.layers.map(({ feedForward }) => (feedForward.kind === 'moe' ? feedForward.topK : 0)),
  );
  // While a layer's hidden states are made durable, those of the layer before are still there.
  const resumable = 2 * streams * memory.storeBytes + plan.layers.length * streams * tokens * topK * 8;
  const diskBytes = outputBytes + resumable + wanted - peakMemoryBytes;
  const free = { memoryBytes: process.availableMemory(), diskBytes: freeDisk(job.output) };
  return {
    layers: plan.layers.length,
    tokens,
    lanes,
    quantizedLinears: targets.quantized.size,
    keptLinears: targets.kept.size,
    sourceBytes,
    outputBytes,
    seconds,
    peakMemoryBytes,
    diskBytes,
    free,
    probeSeconds,
    shortages: shortages(peakMemoryBytes, memory.workingBytes, diskBytes, free, job.output),
  };
}

/** Lanes share a layer's work; what each part takes is the mean of what the lanes measured. */
function layerSeconds({ feedForward }: LayerPlan, work: LayerWork, measured: readonly ProbeMeasurement[]): number {
  const perOperation = (pick: (probe: ProbeMeasurement) => Measured | null): number => {
    const parts = measured.flatMap((probe) => pick(probe) ?? []);
    const operations = parts.reduce((sum, part) => sum + part.operations, 0);
    return operations === 0 ? 0 : parts.reduce((sum, part) => sum + part.seconds, 0) / operations;
  };
  const experts = feedForward.kind === 'moe' ? feedForward.experts.length : 0;
  const expertSeconds = measured.reduce((sum, probe) => sum + probe.expertSeconds, 0) / measured.length;
  const onExperts = work.experts + work.forced + (experts > 0 ? work.grams : 0);
  const onBlocks = work.blocks + (experts > 0 ? 0 : work.grams);
  const laneSeconds =
    onBlocks * perOperation(({ blocks }) => blocks) +
    (onExperts + work.drift) * perOperation(({ expert, blocks }) => expert ?? blocks) +
    work.search * perOperation(({ search }) => search) +
    work.factorization * perOperation(({ factorization }) => factorization) +
    (work.clipping + work.feedback + work.descent) * perOperation(({ rounding }) => rounding) +
    EXPERT_READS * experts * expertSeconds;
  return laneSeconds / measured.length;
}

/** Free bytes where a folder is, or will be. */
function freeDisk(folder: string): number {
  let at = resolve(folder);
  while (!existsSync(at)) at = dirname(at);
  const { bavail, bsize } = statfsSync(at);
  return bavail * bsize;
}

function shortages(
  peak: number,
  working: number,
  disk: number,
  free: Estimate['free'],
  output: string,
): readonly string[] {
  const found: string[] = [];
  if (peak > free.memoryBytes) {
    const advice =
      working < free.memoryBytes
        ? `--memory ${Math.floor((free.memoryBytes / 2 ** 30) * 10) / 10} keeps the rest on disk`
        : 'fewer --lanes need less';
    found.push(`memory: wanted ${gibibytes(peak)}, got ${gibibytes(free.memoryBytes)} free; ${advice}`);
  }
  if (disk > free.diskBytes) {
    found.push(`disk for '${output}': wanted ${gibibytes(disk)}, got ${gibibytes(free.diskBytes)} free`);
  }
  return found;
}

/** Bytes as people read them. */
export function gibibytes(bytes: number): string {
  return bytes < 0.1 * 2 ** 30 ? `${(bytes / 2 ** 20).toFixed(1)} MiB` : `${(bytes / 2 ** 30).toFixed(2)} GiB`;
}
