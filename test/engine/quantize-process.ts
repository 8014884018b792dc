import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('quantize-child.js', import.meta.url));

export interface ChildJob {
  readonly model: string;
  readonly output: string;
  readonly existing?: 'refuse' | 'resume' | 'replace';
  readonly rounding?: 'nearest' | 'gptq';
  readonly tokens?: number;
  readonly length?: number;
  readonly lanes?: number;
  /** Bytes. */
  readonly memory?: number;
}

export interface Run {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** What the child printed, line by line. */
  readonly lines: readonly string[];
  readonly seconds: number;
}

/** The command line that quantizes `job`. */
export function childCommand(job: ChildJob): string[] {
  return [process.execPath, CHILD, JSON.stringify({ existing: 'refuse', ...job })];
}

/** Quantizes in a process of its own; `onLine` may kill it. */
export function quantizeInProcess(
  job: ChildJob,
  onLine: (line: string, kill: (signal: NodeJS.Signals) => void) => void = () => undefined,
  killAfter?: number,
): Promise<Run> {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const [command, ...args] = childCommand(job) as [string, ...string[]];
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const timer = killAfter === undefined ? null : setTimeout(() => child.kill('SIGKILL'), 1000 * killAfter);
    const lines: string[] = [];
    let rest = '';
    child.stdout.on('data', (chunk: Buffer) => {
      const parts = `${rest}${chunk.toString()}`.split('\n');
      rest = parts.pop()!;
      for (const line of parts) {
        lines.push(line);
        onLine(line, (signal) => void child.kill(signal));
      }
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (timer !== null) clearTimeout(timer);
      resolve({ code, signal, lines, seconds: (performance.now() - start) / 1000 });
    });
  });
}

export function looksFinished(output: string): boolean {
  return existsSync(join(output, 'config.json'));
}

/** Names and contents of all files of a folder. */
export function digest(folder: string): string {
  const hash = createHash('sha256');
  for (const name of readdirSync(folder).sort()) hash.update(name).update(readFileSync(join(folder, name)));
  return hash.digest('hex');
}

/** Layers that a resumed run found finished. */
export function resumedLayers({ lines }: Run): number {
  return Number(/^planned, (\d+)/.exec(lines.find((line) => line.startsWith('planned')) ?? '')?.[1] ?? -1);
}

export function finishedLayers({ lines }: Run): number {
  return lines.filter((line) => line.startsWith('layer-finished')).length;
}
