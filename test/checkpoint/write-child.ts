/**
 * A process for the crash tests: quantizes a model by rounding, committing after every tensor and dawdling so that the
 * parent can kill it anywhere.
 *
 *     node --import tsx write-child.ts MODEL OUTPUT refuse|resume DELAY_MS [FILLER] [LAST]
 *
 * Behind the tensor of number LAST it waits to be killed. With FILLER (not empty), fills the output's file system after the tenth tensor. Prints `tensor NAME` per tensor written, then
 * `finished`, or `error NAME MESSAGE`.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { writeRoundToNearest } from './round-to-nearest.js';

const [model = '', output = '', existing, delay, filler = '', last = 'Infinity'] = process.argv.slice(2);
/** A day, which no test waits for. */
const FOREVER = 86_400_000;

let written = 0;
try {
  await writeRoundToNearest(model, output, {
    existing: existing === 'resume' ? 'resume' : 'refuse',
    maxShardBytes: 50_000,
    async onTensor(writer, name) {
      await writer.commit();
      process.stdout.write(`tensor ${name}\n`);
      if (++written === 10 && filler !== '') fill(filler);
      await setTimeout(written >= Number(last) ? FOREVER : Number(delay));
    },
  });
  process.stdout.write('finished\n');
} catch (error) {
  process.stdout.write(`error ${error instanceof Error ? `${error.name} ${error.message}` : String(error)}\n`);
  process.exitCode = 1;
}

function fill(path: string): void {
  for (let i = 0; ; i++) {
    try {
      writeFileSync(`${path}.${i}`, new Uint8Array(4096));
    } catch {
      return;
    }
  }
}
