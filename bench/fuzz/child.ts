/** Reads damaged inputs `from` … `to`; the number in work is kept in a file, so that the parent can name what hung. */
import { mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KINDS, loadSpecimens, readDamaged } from './target.js';

/** Of processor time, which other work on the machine does not lengthen. */
const MAX_MILLISECONDS = 1000;

const [seed, from, to, progressFile, reportFile, wanted] = process.argv.slice(2);
const kind = KINDS.find((each) => each === wanted);
if (kind === undefined) throw new RangeError(`wanted one of ${KINDS.join(', ')}`);
const progress = openSync(progressFile ?? '', 'w');
const folder = mkdtempSync(join(dirname(progressFile ?? ''), 'read-'));
const specimens = loadSpecimens();
const faults: { readonly iteration: number; readonly error: string }[] = [];
const names: Record<string, { inputs: number; refused: number }> = {};
let slowest = { iteration: 0, milliseconds: 0 };
let peak = 0;

for (let iteration = Number(from); iteration < Number(to); iteration++) {
  writeSync(progress, `${iteration}\n`, 0);
  const start = process.cpuUsage();
  try {
    const { name, refused } = await readDamaged(specimens, Number(seed), iteration, kind, folder);
    const count = (names[name] ??= { inputs: 0, refused: 0 });
    count.inputs++;
    if (refused) count.refused++;
  } catch (error) {
    faults.push({ iteration, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
  const { user, system } = process.cpuUsage(start);
  const milliseconds = Math.round((user + system) / 1000);
  if (milliseconds > MAX_MILLISECONDS) faults.push({ iteration, error: `takes ${milliseconds} ms of processor` });
  if (milliseconds > slowest.milliseconds) slowest = { iteration, milliseconds };
  if (iteration % 50 === 0) peak = Math.max(peak, process.memoryUsage().rss);
}
rmSync(folder, { recursive: true });
peak = Math.max(peak, process.resourceUsage().maxRSS * 1024);
writeFileSync(reportFile ?? '', JSON.stringify({ faults, names, slowest, peak }));
