import { channel } from 'node:diagnostics_channel';
import { MessageChannel, Worker, type Transferable } from 'node:worker_threads';
import { InputError } from '../errors.js';
import { refuseTelemetry } from './telemetry.js';

/** Messages between the orchestrating thread and a lane. */
export type LaneRequest<Job> = { readonly id: number; readonly job: Job } | { readonly stop: true };
export type LaneReply =
  | { readonly id: number; readonly part: unknown }
  | { readonly id: number; readonly result: unknown }
  | {
      readonly id: number;
      readonly error: { readonly name: string; readonly message: string; readonly stack: string | undefined };
    };

/** Every job of a lane by name: what it takes, what it hands over while it works (if anything), and what it returns. */
export type JobTable<Jobs> = {
  readonly [Kind in keyof Jobs]: { readonly job: object; readonly part?: unknown; readonly result: unknown };
};

export interface CallOptions<Part> {
  /** Buffers of the job that move to the lane: the caller does not need them any more. */
  readonly transfer?: readonly Transferable[];
  /** Takes what the lane hands over, one part after the other; the call is answered behind the last. */
  readonly take?: (part: Part) => Promise<void>;
}

/**
 * Worker threads with an onnxruntime of their own. onnxruntime blocks the thread it runs on, so the orchestrating
 * thread never loads it and stays free for progress and signals.
 */
export interface Lanes<Jobs extends JobTable<Jobs>> {
  readonly count: number;
  call<Kind extends keyof Jobs & string>(
    lane: number,
    kind: Kind,
    job: Jobs[Kind]['job'],
    options?: CallOptions<Jobs[Kind]['part']>,
  ): Promise<Jobs[Kind]['result']>;
  close(): Promise<void>;
}

/** Published when a lane's job is called and when it is answered, for profilers: costs nothing without a subscriber. */
export const LANE_CHANNEL = 'evenkeel:lane';
export interface LaneMoment {
  readonly lane: number;
  readonly kind: string;
  readonly moment: 'called' | 'answered';
}

/** No single call of onnxruntime takes this long. */
const STOP_PATIENCE_MILLISECONDS = 120_000;
/** Memory that a lane may use beside onnxruntime's and its typed arrays: JavaScript objects only. */
const LANE_HEAP_MEGABYTES = 1024;
/** Lanes make objects that die at once (views of rows, tensors): each collection of a small nursery finds some alive. */
const LANE_NURSERY_MEGABYTES = 32;

export function startLanes<Jobs extends JobTable<Jobs>>(entry: URL, count: number): Lanes<Jobs> {
  interface Pending {
    take(part: unknown): void;
    resolve(result: unknown): void;
    reject(error: Error): void;
  }
  refuseTelemetry();
  const pending = new Map<number, Pending>();
  const moments = channel(LANE_CHANNEL);
  let nextId = 0;
  let failure: Error | null = null;
  const workers = Array.from({ length: count }, (_, lane) => {
    const worker = new Worker(entry, {
      name: `lane-${lane}`,
      resourceLimits: { maxOldGenerationSizeMb: LANE_HEAP_MEGABYTES, maxYoungGenerationSizeMb: LANE_NURSERY_MEGABYTES },
    });
    worker.on('message', (reply: LaneReply) => {
      const waiting = pending.get(reply.id);
      if (waiting === undefined) return;
      if ('part' in reply) {
        waiting.take(reply.part);
        return;
      }
      pending.delete(reply.id);
      if ('error' in reply) waiting.reject(revive(reply.error));
      else waiting.resolve(reply.result);
    });
    const fail = (error: Error): void => {
      failure = error;
      for (const waiting of pending.values()) waiting.reject(error);
      pending.clear();
    };
    worker.on('error', (error: Error) => fail(error));
    worker.on('exit', (code) => {
      if (code !== 0) fail(new Error(`lane ${lane} ended with code ${code}; it may have run out of memory`));
    });
    return worker;
  });
  const ended = workers.map((worker) => new Promise<void>((resolve) => worker.once('exit', () => resolve())));
  return {
    count,
    call: (lane, kind, job, { transfer = [], take } = {}) =>
      new Promise((resolve, reject) => {
        if (failure !== null) {
          reject(failure);
          return;
        }
        const id = nextId++;
        let taken: Promise<void> = Promise.resolve();
        moments.publish({ lane, kind, moment: 'called' } satisfies LaneMoment);
        pending.set(id, {
          take: (part) => {
            taken = taken.then(() => take?.(part));
            // At once, and not only when the lane is done: a full disk ends a run.
            taken.catch(reject);
          },
          resolve: (result) => {
            moments.publish({ lane, kind, moment: 'answered' } satisfies LaneMoment);
            taken.then(() => resolve(result), reject);
          },
          reject,
        });
        workers[lane]!.postMessage({ id, job: { kind, ...job } }, [...transfer]);
      }),
    async close() {
      await Promise.all(
        workers.map(async (worker, lane) => {
          // A thread terminated within onnxruntime takes the process down; asked, it ends between two calls of it.
          const patience = setTimeout(() => void worker.terminate(), STOP_PATIENCE_MILLISECONDS);
          worker.postMessage({ stop: true });
          await ended[lane];
          clearTimeout(patience);
        }),
      );
    },
  };
}

/** What onnxruntime, V8 and WebAssembly say when the system refuses them memory. */
const OUT_OF_MEMORY = /bad_alloc|Array buffer allocation failed|could not allocate memory|out of memory/i;

/** Errors lose their class on the way; bad input must stay bad input. */
function revive(error: { name: string; message: string; stack: string | undefined }): Error {
  if (error.name === 'InputError') return new InputError(error.message);
  if (OUT_OF_MEMORY.test(error.message))
    return new InputError(`run out of memory (${error.message}); fewer --lanes and a smaller --memory need less`);
  const revived = new Error(error.message);
  revived.name = error.name;
  if (error.stack !== undefined) revived.stack = error.stack;
  return revived;
}

/** A job's result with the buffers that move instead of being copied. */
export interface Handled {
  readonly result: unknown;
  readonly transfer?: readonly Transferable[];
}

/** Hands a part of a job's outcome over while the job goes on, with the buffers that move. */
export type HandOver<Part> = (part: Part, transfer: readonly Transferable[]) => void;

/** What to transfer of arrays that have their buffers to themselves. */
export function buffersOf(arrays: readonly (Float32Array | null)[]): ArrayBuffer[] {
  return [...new Set(arrays.flatMap((array) => (array === null ? [] : [array.buffer as ArrayBuffer])))];
}

/**
 * Gives memory back at once, by moving it to nobody. A thread that allocates little is seldom visited by its collector:
 * sums of DeepSeek-V3's attention, 2.6 GB, lay about in the orchestrating thread for as long as a lane worked on.
 */
export function release(arrays: readonly (Float32Array | null)[]): void {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(null, buffersOf(arrays));
  // The message goes with the port that it waits at.
  port2.close();
  port1.close();
}
