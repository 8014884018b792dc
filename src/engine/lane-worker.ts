import { parentPort } from 'node:worker_threads';
import { openCheckpoint } from '../checkpoint/open.js';
import { planModel } from '../model/registry.js';
import { collectGarbage } from '../runtime/collect.js';
import { createScratch } from '../runtime/scratch.js';
import { createSessionCache, type SessionCache } from '../runtime/sessions.js';
import { createWeightReader } from '../runtime/weights.js';
import { quantizeFollowing, searchGates } from './drift-experts.js';
import { drift, moments } from './drift-moments.js';
import { divergence } from './evaluate-lane.js';
import { roundedReader } from './rounded-reader.js';
import type { Handled, LaneReply, LaneRequest } from '../runtime/workers.js';
import { combine, embed, logits, runExperts, runLayer, save, type LaneModel } from './forward-lane.js';
import type { LaneSetup } from './jobs.js';
import type { CalibrationJobs } from './quantize-jobs.js';
import { probe } from './probe-lane.js';
import { calibrateExperts, quantizeExperts } from './calibrate-experts.js';
import { createQuantizeLane, magnitude, quantizeLinears, searchLinears, type QuantizeLane } from './quantize-lane.js';

const port = parentPort!;

/** What the lane works on, opened by the first job that needs it: an unreadable model rejects a call. */
interface Work {
  readonly model: () => LaneModel;
  readonly lane: () => QuantizeLane;
  close(): void;
}

let work: Work | null = null;

function current(): Work {
  if (work === null) throw new Error('this lane has no model');
  return work;
}
const model = (): LaneModel => current().model();
const lane = (): QuantizeLane => current().lane();

/** Sessions outlive the model: all that a graph knows of it are shapes. */
const sessionsOf = new Map<string, SessionCache>();

function open({ setup }: Jobs['open']['job']): Handled {
  if (work !== null) {
    work.close();
    work = null;
    collectGarbage();
  }
  work = setup === null ? null : takeUp(setup);
  return { result: null };
}

function takeUp({ model: folder, assume, providers, quantize, roundToNearest }: LaneSetup): Work {
  let opened: LaneModel | null = null;
  const openModel = (): LaneModel => {
    if (opened !== null) return opened;
    const checkpoint = openCheckpoint(folder);
    const plan = planModel(checkpoint, assume ?? undefined);
    const stored = createWeightReader(checkpoint);
    const key = providers.join(' ');
    const sessions = sessionsOf.get(key) ?? createSessionCache({ providers });
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
    close: () => {
      opened?.checkpoint.close();
      opened?.scratch.clear();
    },
  };
}

type Jobs = CalibrationJobs;
type Handlers = { readonly [Kind in keyof Jobs]: (job: Jobs[Kind]['job']) => Handled | Promise<Handled> };

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
  quantizeLinears: (job: Jobs['quantizeLinears']['job']) => quantizeLinears(lane(), job),
  calibrateExperts: (job: Jobs['calibrateExperts']['job']) => calibrateExperts(lane(), job),
  quantizeExperts: (job: Jobs['quantizeExperts']['job']) => quantizeExperts(lane(), job),
  moments: (job: Jobs['moments']['job']) => moments(model(), job),
  drift: (job: Jobs['drift']['job']) => drift(job),
  searchGates: (job: Jobs['searchGates']['job']) => searchGates(lane(), job),
  quantizeFollowing: (job: Jobs['quantizeFollowing']['job']) => quantizeFollowing(lane(), job),
};

async function answer({ id, job }: { readonly id: number; readonly job: { readonly kind: string } }): Promise<void> {
  let reply: LaneReply;
  let transfer: Handled['transfer'];
  try {
    const handler = (HANDLERS as Readonly<Record<string, ((job: never) => Handled | Promise<Handled>) | undefined>>)[
      job.kind
    ];
    if (handler === undefined) throw new Error(`lane job '${job.kind}' is unknown`);
    const handled = await handler(job as never);
    transfer = handled.transfer;
    reply = { id, result: handled.result };
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    reply = { id, error: { name, message, stack } };
  }
  port.postMessage(reply, [...(transfer ?? [])]);
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}

// One job at a time: jobs share the lane's sessions and its memory budget.
let queue: Promise<void> = Promise.resolve();
port.on('message', (request: LaneRequest<{ kind: string }>) => {
  // Ends this thread only, and between two calls of onnxruntime: messages are not read within one.
  if ('stop' in request) process.exit(0);
  queue = queue.then(() => answer(request));
});
