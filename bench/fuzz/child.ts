/** Reads damaged inputs `from` … `to`; the number in work is kept in a file, so that the parent can name what hung. */
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { KINDS, loadSpecimens, readDamaged } from './target.js';

const [seed, from, to, progressFile, reportFile, wanted] = process.argv.slice(2);
const kind = KINDS.find((each) => each === wanted);
if (kind === undefined) throw new RangeError(`wanted one of ${KINDS.join(', ')}`);
const progress = openSync(progressFile ?? '', 'w');
const specimens = loadSpecimens();
const faults: { readonly iteration: number; readonly error: string }[] = [];
const names: Record<string, { inputs: number; refused: number }> = {};
let slowest = { iteration: 0, milliseconds: 0 };
let peak = 0;

for (let iteration = Number(from); iteration < Number(to); iteration++) {
  writeSync(progress, `${iteration}\n`, 0);
  const start = performance.now();
  try {
    const { name, refused } = await readDamaged(specimens, Number(seed), iteration, kind);
    const count = (names[name] ??= { inputs: 0, refused: 0 });
    count.inputs++;
    if (refused) count.refused++;
  } catch (error) {
    faults.push({ iteration, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
  }
  const milliseconds = performance.now() - start;
  if (milliseconds > slowest.milliseconds) slowest = { iteration, milliseconds };
  if (iteration % 50 === 0) peak = Math.max(peak, process.memoryUsage().rss);
}
peak = Math.max(peak, process.resourceUsage().maxRSS * 1024);
writeFileSync(reportFile ?? '', JSON.stringify({ faults, names, slowest, peak }));
