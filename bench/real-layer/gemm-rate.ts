import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';

export interface GemmRate {
  /** FLOP per second of the processor, one core. */
  readonly perCpuSecond: number;
  /** FLOP per second of the clock, all cores together. */
  readonly perSecond: number;
}

/** The machine's own rate: onnxruntime's f32 Gemm [1024, 2048] × [2048, 1024] on all cores at once. */
export async function gemmRate(lanes = availableParallelism(), seconds = 3): Promise<GemmRate> {
  const workers = Array.from({ length: lanes }, () => new Worker(new URL('./gemm-lane.js', import.meta.url)));
  const round = async (length: number): Promise<number> => {
    const answers = workers.map((worker) => once(worker, 'message') as Promise<[number]>);
    for (const worker of workers) worker.postMessage(length);
    return (await Promise.all(answers)).reduce((sum, [flop]) => sum + flop, 0);
  };
  await round(0.1);
  const cpu = process.cpuUsage();
  const start = performance.now();
  const flop = await round(seconds);
  const { user, system } = process.cpuUsage(cpu);
  const elapsed = (performance.now() - start) / 1000;
  await Promise.all(workers.map((worker) => worker.terminate()));
  return { perCpuSecond: flop / ((user + system) / 1e6), perSecond: flop / elapsed };
}
