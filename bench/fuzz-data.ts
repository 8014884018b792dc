/**
 * Damages inputs of every kind (Parquet, Arrow, JSON, JSON Lines, gzip, zstd, cards and recipes, chat templates) and reads
 * them. A fault is anything but a result or an InputError: another exception, a process that dies, half a minute on one
 * input, or more memory than MAX_MEMORY.
 *
 *     npx tsx bench/fuzz-data.ts [inputs of each kind=100000] [seed=1] [kind…]
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { KINDS, type Kind } from './fuzz/target.js';

/** The slowest input takes about a second; the rest is for a busy machine. */
const HANG_MILLISECONDS = 30_000;
const MAX_MEMORY = 1536 << 20;
const BATCH = 2_500;

interface Report {
  readonly faults: readonly { readonly iteration: number; readonly error: string }[];
  readonly names: Readonly<Record<string, { readonly inputs: number; readonly refused: number }>>;
  readonly slowest: { readonly iteration: number; readonly milliseconds: number };
  readonly peak: number;
}

const [inputs = 100_000, seed = 1] = process.argv.slice(2, 4).map(Number);
const asked = process.argv.slice(4);
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-fuzz-'));
const child = fileURLToPath(new URL('fuzz/child.ts', import.meta.url));
const totals: Record<string, { inputs: number; refused: number }> = {};
const faults: string[] = [];
const fault = (text: string): void => {
  faults.push(text);
  console.error(text);
};
let peak = 0;
let slowest = { iteration: 0, milliseconds: 0 };

for (const kind of KINDS.filter((each) => asked.length === 0 || asked.includes(each))) {
  for (let from = 0; from < inputs; from += BATCH) {
    let start = from;
    const to = Math.min(from + BATCH, inputs);
    while (start < to) start = await runBatch(kind, start, to);
  }
  console.error(`${kind}: ${inputs} inputs; ${faults.length} faults so far, peak ${Math.round(peak / 2 ** 20)} MiB`);
}
rmSync(folder, { recursive: true });
console.log(
  JSON.stringify({ inputs, seed, faults: faults.length, peakMiB: Math.round(peak / 2 ** 20), slowest, totals }),
);
process.exitCode = faults.length === 0 ? 0 : 1;

/** Runs inputs in a process of their own; returns where to go on, after an input that hung or killed it. */
async function runBatch(kind: Kind, from: number, to: number): Promise<number> {
  const progress = join(folder, 'progress');
  const report = join(folder, 'report');
  rmSync(report, { force: true });
  rmSync(progress, { force: true });
  const process_ = spawn(
    process.execPath,
    ['--max-old-space-size=1024', '--import', 'tsx', child, ...[seed, from, to].map(String), progress, report, kind],
    { stdio: ['ignore', 'inherit', 'pipe'] },
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
  merge(kind, JSON.parse(readFileSync(report, 'utf8')));
  return to;
}

function merge(kind: Kind, found: Report): void {
  for (const { iteration, error } of found.faults) fault(`${kind} ${iteration}: ${error}`);
  if (found.peak > MAX_MEMORY) fault(`some input takes ${Math.round(found.peak / 2 ** 20)} MiB`);
  for (const [name, count] of Object.entries(found.names)) {
    const total = (totals[name] ??= { inputs: 0, refused: 0 });
    total.inputs += count.inputs;
    total.refused += count.refused;
  }
  peak = Math.max(peak, found.peak);
  if (found.slowest.milliseconds > slowest.milliseconds) slowest = found.slowest;
}

function currentInput(progress: string): string {
  try {
    return readFileSync(progress, 'utf8').split('\n', 1)[0] ?? '';
  } catch {
    return '';
  }
}
