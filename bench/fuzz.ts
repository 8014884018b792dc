/**
 * Damages inputs of every kind (safetensors, GGUF, Parquet, Arrow, JSON, JSON Lines, gzip, zstd, cards and recipes, chat
 * templates) and reads them. A fault is anything but a result or an InputError: another exception, a process that dies, a
 * second of processor time for one input, a process that takes more than MAX_MEMORY, or a write outside its own folder,
 * which Node's permission model refuses.
 *
 *     npx tsx bench/fuzz.ts [inputs of each kind=100000] [seed=1] [kind…]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KINDS, type Kind } from './fuzz/target.js';

/** When to end a process that will not return by itself, by the clock: long, because the machine may be busy. */
const HANG_MILLISECONDS = 30_000;
const MAX_MEMORY = 1536 << 20;
const BATCH = 10_000;

interface Report {
  readonly faults: readonly { readonly iteration: number; readonly error: string }[];
  readonly names: Readonly<Record<string, { readonly inputs: number; readonly refused: number }>>;
  readonly slowest: { readonly iteration: number; readonly milliseconds: number };
  readonly peak: number;
}

const [inputs = 100_000, seed = 1] = process.argv.slice(2, 4).map(Number);
const asked = process.argv.slice(4);
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-fuzz-'));
/** Files can be read everywhere and written in the folder alone; tsx needs the rest. */
const CONFINED = [
  '--max-old-space-size=1024',
  '--no-warnings',
  '--experimental-permission',
  '--allow-fs-read=*',
  `--allow-fs-write=${folder}/`,
  '--allow-child-process',
  '--allow-worker',
  '--allow-addons',
];
const child = fileURLToPath(new URL('fuzz/child.ts', import.meta.url));
const faults: string[] = [];
const fault = (text: string): void => {
  faults.push(text);
  console.error(text);
};
interface Total {
  inputs: number;
  refused: number;
  slowest: Report['slowest'];
  peak: number;
}

console.log('| reader | inputs | refused | faults | slowest, ms of processor | peak MiB |\n|---|--:|--:|--:|--:|--:|');
for (const kind of KINDS.filter((each) => asked.length === 0 || asked.includes(each))) {
  const before = faults.length;
  const total: Total = { inputs: 0, refused: 0, slowest: { iteration: 0, milliseconds: 0 }, peak: 0 };
  for (let from = 0; from < inputs; from += BATCH) {
    let start = from;
    const to = Math.min(from + BATCH, inputs);
    while (start < to) start = await runBatch(kind, start, to, total);
  }
  const { slowest, peak } = total;
  const cells = [kind, total.inputs, total.refused, faults.length - before, slowest.milliseconds, mebibytes(peak)];
  console.log(`| ${cells.join(' | ')} |`);
}
rmSync(folder, { recursive: true });
process.exitCode = faults.length === 0 ? 0 : 1;

/** Runs inputs in a process of their own; returns where to go on, after an input that hung or killed it. */
async function runBatch(kind: Kind, from: number, to: number, total: Total): Promise<number> {
  const progress = join(folder, 'progress');
  const report = join(folder, 'report');
  rmSync(report, { force: true });
  rmSync(progress, { force: true });
  const process_ = spawn(
    process.execPath,
    [...CONFINED, '--import', 'tsx', child, ...[seed, from, to].map(String), progress, report, kind],
    // What tsx keeps of its own goes into the folder, too.
    { stdio: ['ignore', 'inherit', 'pipe'], env: { ...process.env, TMPDIR: folder } },
  );
  let last = '';
  let since = performance.now();
  let verdict = '';
  let errors = '';
  process_.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-400)));
  const timer = setInterval(() => {
    const now = currentInput(progress);
    if (now !== last || now === '') [last, since] = [now, performance.now()];
    else if (performance.now() - since > HANG_MILLISECONDS) {
      verdict = 'hangs';
      process_.kill('SIGKILL');
    }
  }, 500);
  const code = await new Promise<number | null>((resolve) => process_.on('close', resolve));
  clearInterval(timer);
  if (code !== 0) {
    const at = Number(currentInput(progress));
    fault(`${kind} ${at}: ${verdict || `the process dies (${code}): ${errors}`}`);
    return at + 1;
  }
  merge(kind, JSON.parse(readFileSync(report, 'utf8')), total);
  return to;
}

function merge(kind: Kind, found: Report, total: Total): void {
  for (const { iteration, error } of found.faults) fault(`${kind} ${iteration}: ${error}`);
  if (found.peak > MAX_MEMORY) fault(`${kind}: some input takes ${mebibytes(found.peak)} MiB`);
  for (const count of Object.values(found.names)) {
    total.inputs += count.inputs;
    total.refused += count.refused;
  }
  total.peak = Math.max(total.peak, found.peak);
  if (found.slowest.milliseconds > total.slowest.milliseconds) total.slowest = found.slowest;
}

function mebibytes(bytes: number): number {
  return Math.round(bytes / 2 ** 20);
}

function currentInput(progress: string): string {
  try {
    return readFileSync(progress, 'utf8').split('\n', 1)[0] ?? '';
  } catch {
    return '';
  }
}
