import { parentPort } from 'node:worker_threads';
import { openCheckpoint } from '../checkpoint/open.js';
import { planModel } from '../model/registry.js';
import { once } from '../once.js';
import { collectGarbage } from '../runtime/collect.js';
import { createScratch } from '../runtime/scratch.js';
import { createSessionCache, type SessionCache } from '../runtime/sessions.js';
import { createWeightReader } from '../runtime/weights.js';
import { quantizeFollowing, searchGates } from './drift-experts.js';
import { drift, moments } from './drift-moments.js';
import { divergence } from './evaluate-lane.js';
import { keepsActivations } from './memory.js';
import { roundedReader } from './rounded-reader.js';
import type { HandOver, Handled, LaneReply, LaneRequest } from '../runtime/workers.js';
import { combine, embed, logits, runExperts, runLayer, save, type LaneModel } from './forward-lane.js';
import type { LaneSetup } from './jobs.js';
import type { CalibrationJobs, Put } from './quantize-jobs.js';
import { probe } from './probe-lane.js';
import { calibrateExperts, quantizeExperts } from './calibrate-experts.js';
import { createQuantizeLane, magnitude, quantizeLinears, searchLinears, type QuantizeLane } from './quantize-lane.js';

const port = parentPort!;

/** What the lane works on, opened by the first job that needs it: an unreadable model rejects a call. */
interface Work {
  readonly model: () => LaneModel;
  readonly lane: () => QuantizeLane;
  /** Other work follows than that which the scratch buffers were for. */
  turn(): void;
  close(): void;
}

/** Jobs that work on experts; the others work on what stands beside them. */
const EXPERT_JOBS: ReadonlySet<string> = new Set([
  'experts',
  'calibrateExperts',
  'quantizeExperts',
  'searchGates',
  'quantizeFollowing',
] satisfies (keyof CalibrationJobs)[]);

/**
 * Scratch buffers that outlive a turn from experts to the rest of a layer, or back. Of DeepSeek-V3 they are a gigabyte for
 * each; what fits here is cheaper to keep than to be cleared by the system again.
 */
const KEPT_SCRATCH_BYTES = 64 * 2 ** 20;

let work: Work | null = null;

function current(): Work {
  if (work === null) throw new Error('this lane has no model');
  return work;
}
const model = (): LaneModel => current().model();
const lane = (): QuantizeLane => current().lane();

/** Sessions outlive the model: all that a graph knows of it are shapes. */
const sessionsOf = new Map<string, SessionCache>();

let hadModel = false;

function open({ setup }: Jobs['open']['job']): Handled {
  work?.close();
  work = null;
  if (setup === null) return { result: null };
  if (hadModel) collectGarbage();
  hadModel = true;
  work = takeUp(setup);
  return { result: null };
}

function takeUp({ model: folder, assume, providers, quantize, roundToNearest }: LaneSetup): Work {
  let opened: LaneModel | null = null;
  const openModel = (): LaneModel => {
    if (opened !== null) return opened;
    const checkpoint = openCheckpoint(folder);
    const plan = planModel(checkpoint, assume ?? undefined);
    const stored = createWeightReader(checkpoint);
    const arena = keepsActivations(plan);
    const key = [arena, ...providers].join(' ');
    const sessions = sessionsOf.get(key) ?? createSessionCache({ providers, arena });
    sessionsOf.set(key, sessions);
    return (opened = {
      checkpoint,
      plan,
      reader: roundToNearest && quantize !== null ? roundedReader(stored, plan, quantize) : stored,
      sessions,
      scratch: createScratch(),
    });
  };
  return {
    model: openModel,
    lane: once(() => {
      if (quantize === null) throw new Error('this lane was given no settings to quantize with');
      return createQuantizeLane(openModel(), quantize);
    }),
    turn: () => opened?.scratch.clear(KEPT_SCRATCH_BYTES),
    close: () => {
      opened?.checkpoint.close();
      opened?.scratch.clear();
    },
  };
}

type Jobs = CalibrationJobs;
type Handlers = {
  readonly [Kind in keyof Jobs]: (
    job: Jobs[Kind]['job'],
    handOver: HandOver<Jobs[Kind] extends { part: infer Part } ? Part : never>,
  ) => Handled | Promise<Handled>;
};

const HANDLERS: Handlers = {
  open,
  embed: (job: Jobs['embed']['job']) => embed(model(), job),
  layer: (job: Jobs['layer']['job']) => runLayer(model(), job),
  experts: (job: Jobs['experts']['job']) => runExperts(model(), job),
  combine: (job: Jobs['combine']['job']) => combine(job),
  save: (job: Jobs['save']['job']) => save(job),
  logits: (job: Jobs['logits']['job']) => logits(model(), job),
  divergence: (job: Jobs['divergence']['job']) => divergence(model(), job),
  probe: (job: Jobs['probe']['job']) => probe(lane(), job),
  magnitude: (job: Jobs['magnitude']['job']) => magnitude(lane(), job),
  searchLinears: (job: Jobs['searchLinears']['job']) => searchLinears(lane(), job),
  quantizeLinears: (job: Jobs['quantizeLinears']['job'], put: Put) => quantizeLinears(lane(), job, put),
  calibrateExperts: (job: Jobs['calibrateExperts']['job'], put: Put) => calibrateExperts(lane(), job, put),
  quantizeExperts: (job: Jobs['quantizeExperts']['job'], put: Put) => quantizeExperts(lane(), job, put),
  moments: (job: Jobs['moments']['job']) => moments(model(), job),
  drift: (job: Jobs['drift']['job']) => drift(job),
  searchGates: (job: Jobs['searchGates']['job']) => searchGates(lane(), job),
  quantizeFollowing: (job: Jobs['quantizeFollowing']['job'], put: Put) => quantizeFollowing(lane(), job, put),
};

let onExperts = false;

type Handler = (job: never, handOver: HandOver<unknown>) => Handled | Promise<Handled>;

async function answer({ id, job }: { readonly id: number; readonly job: { readonly kind: string } }): Promise<void> {
  let reply: LaneReply;
  let transfer: Handled['transfer'];
  try {
    const handler = (HANDLERS as Readonly<Record<string, Handler | undefined>>)[job.kind];
    if (handler === undefined) throw new Error(`lane job '${job.kind}' is unknown`);
    if (EXPERT_JOBS.has(job.kind) !== onExperts) work?.turn();
    onExperts = EXPERT_JOBS.has(job.kind);
    const handled = await handler(job as never, (part, buffers) => send({ id, part }, buffers));
    transfer = handled.transfer;
    reply = { id, result: handled.result };
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    reply = { id, error: { name, message, stack } };
  }
  send(reply, transfer);
}

function send(reply: LaneReply, transfer: Handled['transfer'] = []): void {
  port.postMessage(reply, [...transfer]);
}

// One job at a time: jobs share the lane's sessions and its memory budget.
let queue: Promise<void> = Promise.resolve();
port.on('message', (request: LaneRequest<{ kind: string }>) => {
  // Ends this thread only, and between two calls of onnxruntime: messages are not read within one.
  if ('stop' in request) process.exit(0);
  queue = queue.then(() => answer(request));
});
