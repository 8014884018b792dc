import { parentPort, workerData } from 'node:worker_threads';
import { openCheckpoint } from '../checkpoint/open.js';
import { planModel } from '../model/registry.js';
import { createSessionCache } from '../runtime/sessions.js';
import { createWeightReader } from '../runtime/weights.js';
import type { Handled, LaneReply, LaneRequest } from '../runtime/workers.js';
import { combine, embed, logits, runExperts, runLayer, type LaneModel } from './forward-lane.js';
import type { ForwardJobs, LaneSetup } from './jobs.js';

const port = parentPort!;
const setup = workerData as LaneSetup;
let opened: LaneModel | null = null;

/** Opened by the first job, so that an unreadable model rejects a call instead of killing the thread. */
function model(): LaneModel {
  if (opened !== null) return opened;
  const checkpoint = openCheckpoint(setup.model);
  opened = {
    checkpoint,
    plan: planModel(checkpoint, setup.assume ?? undefined),
    reader: createWeightReader(checkpoint),
    sessions: createSessionCache({ threads: setup.threads, providers: setup.providers }),
  };
  return opened;
}

const HANDLERS: { readonly [Kind in keyof ForwardJobs & string]: (job: never) => Handled | Promise<Handled> } = {
  embed: (job: ForwardJobs['embed']['job']) => embed(model(), job),
  layer: (job: ForwardJobs['layer']['job']) => runLayer(model(), job),
  experts: (job: ForwardJobs['experts']['job']) => runExperts(model(), job),
  combine: (job: ForwardJobs['combine']['job']) => combine(job),
  logits: (job: ForwardJobs['logits']['job']) => logits(model(), job),
};

async function answer({ id, job }: LaneRequest<{ kind: string }>): Promise<void> {
  let reply: LaneReply;
  let transfer: Handled['transfer'];
  try {
    const handler = HANDLERS[job.kind] as ((job: object) => Handled | Promise<Handled>) | undefined;
    if (handler === undefined) throw new Error(`lane job '${job.kind}' is unknown`);
    const handled = await handler(job);
    transfer = handled.transfer;
    reply = { id, result: handled.result };
  } catch (error) {
    const { name, message, stack } = error instanceof Error ? error : new Error(String(error));
    reply = { id, error: { name, message, stack } };
  }
  port.postMessage(reply, [...(transfer ?? [])]);
}

// One job at a time: jobs share the lane's sessions and its memory budget.
let queue: Promise<void> = Promise.resolve();
port.on('message', (request: LaneRequest<{ kind: string }>) => {
  queue = queue.then(() => answer(request));
});
