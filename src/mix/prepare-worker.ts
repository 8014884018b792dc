import { parentPort, workerData } from 'node:worker_threads';
import type { Sample } from '../data/sample.js';
import { openPlan, type PreparePlan } from './prepare-plan.js';
import { READY, type Batch, type BatchReply } from './prepare-pool.js';

const port = parentPort;
if (port === null) throw new Error('prepare-worker runs in a worker thread');
const plan: PreparePlan = workerData;
const opened = openPlan(plan);
const ready: BatchReply = { number: READY, outcomes: [] };
// What fails is told to the first batch.
opened.then(
  () => port.postMessage(ready),
  () => undefined,
);

port.on('message', (batch: Batch<Sample>) => {
  void opened
    .then((prepare): BatchReply => ({ number: batch.number, outcomes: batch.items.map(prepare) }))
    .catch((error: unknown): BatchReply => ({
      number: batch.number,
      failure: error instanceof Error ? (error.stack ?? error.message) : String(error),
      bad: error instanceof Error && error.name === 'InputError' ? error.message : null,
    }))
    .then((reply) => port.postMessage(reply));
});
