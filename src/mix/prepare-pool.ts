import { Worker } from 'node:worker_threads';
import { InputError } from '../errors.js';
import type { Sample } from '../data/sample.js';
import type { PreparePlan } from './prepare-plan.js';
import type { Outcome } from './prepare.js';

export interface Batch<T> {
  readonly number: number;
  readonly items: readonly T[];
}

/** The number of a reply that only says that the worker has loaded what it needs. */
export const READY = -1;

export type BatchReply =
  | { readonly number: number; readonly outcomes: readonly Outcome[] }
  /** `bad` is the message of bad input (a tokenizer that cannot be loaded, say), null for a fault of ours. */
  | { readonly number: number; readonly failure: string; readonly bad: string | null };

/** A sample with what became of it, in the order of reading. */
export interface Prepared {
  readonly sample: Sample;
  readonly outcome: Outcome;
}

/** A message between threads costs more than a short sample; a batch is about this many characters. */
const BATCH_CHARACTERS = 64_000;
const BATCH_SAMPLES = 64;

/** Batches in flight per worker: one at work, one waiting, so that no worker ever waits for the reader. */
const IN_FLIGHT = 2;

/** Tests run the sources through a transformer, but a worker thread needs the compiled file. */
const ENTRY = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/mix/prepare-worker.js' : './prepare-worker.js',
  import.meta.url,
);

/**
 * Prepares samples in worker threads and yields them in the order in which they were read, so that the number of workers
 * changes nothing. Reading stays ahead of the workers by a few batches only.
 */
export async function* prepareInWorkers(
  samples: AsyncIterable<Sample>,
  plan: PreparePlan,
  count: number,
): AsyncGenerator<Prepared> {
  const waiting = new Map<number, { resolve(outcomes: readonly Outcome[]): void; reject(error: Error): void }>();
  const fail = (error: Error) => {
    for (const asked of waiting.values()) asked.reject(error);
    waiting.clear();
  };
  const workers: Worker[] = [];
  const ready: Worker[] = [];
  // One after another, as loading a large vocabulary takes several times the memory that it takes when it is loaded.
  const start = () => {
    const worker = new Worker(ENTRY, { workerData: plan });
    workers.push(worker);
    worker.on('error', fail);
    worker.on('message', (reply: BatchReply) => {
      if (reply.number === READY) {
        if (worker !== ready[0]) ready.push(worker);
        if (workers.length < count) start();
        return;
      }
      const asked = waiting.get(reply.number);
      waiting.delete(reply.number);
      if ('outcomes' in reply) asked?.resolve(reply.outcomes);
      else asked?.reject(reply.bad === null ? new Error(reply.failure) : new InputError(reply.bad));
    });
    return worker;
  };
  // The first takes batches before it is ready: if it cannot be, it says so to them.
  ready.push(start());
  const pending: { readonly items: readonly Sample[]; readonly outcomes: Promise<readonly Outcome[]> }[] = [];
  let number = 0;
  try {
    for await (const items of batches(samples)) {
      const batch: Batch<Sample> = { number: number++, items };
      const outcomes = new Promise<readonly Outcome[]>((resolve, reject) =>
        waiting.set(batch.number, { resolve, reject }),
      );
      // Awaited in order below; a failure meanwhile must not count as unhandled.
      outcomes.catch(() => undefined);
      ready[batch.number % ready.length]?.postMessage(batch);
      pending.push({ items, outcomes });
      if (pending.length >= IN_FLIGHT * count) yield* settle(pending.shift());
    }
    while (pending.length > 0) yield* settle(pending.shift());
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

async function* settle(
  batch: { readonly items: readonly Sample[]; readonly outcomes: Promise<readonly Outcome[]> } | undefined,
): AsyncGenerator<Prepared> {
  if (batch === undefined) return;
  const outcomes = await batch.outcomes;
  for (const [index, sample] of batch.items.entries()) {
    const outcome = outcomes[index];
    if (outcome !== undefined) yield { sample, outcome };
  }
}

async function* batches(samples: AsyncIterable<Sample>): AsyncGenerator<Sample[]> {
  let items: Sample[] = [];
  let characters = 0;
  for await (const sample of samples) {
    items.push(sample);
    characters += weightOf(sample);
    if (characters < BATCH_CHARACTERS && items.length < BATCH_SAMPLES) continue;
    yield items;
    items = [];
    characters = 0;
  }
  if (items.length > 0) yield items;
}

/** Characters of a sample, about. */
export function weightOf({ content }: Sample): number {
  if (content.kind === 'tokens') return content.inputIds.length * 4;
  if (content.kind === 'text') return content.text.length;
  return content.messages.reduce(
    (sum, { content: text, reasoningContent }) => sum + (text?.length ?? 0) + (reasoningContent?.length ?? 0),
    0,
  );
}
