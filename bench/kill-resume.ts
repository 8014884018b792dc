/**
 * Kills a quantization with SIGKILL at random moments and resumes it: the checkpoint must be byte-identical to an
 * undisturbed one, nothing may look finished in between, and no finished layer may be done again.
 *
 *   npm run build && npx tsx bench/kill-resume.ts [--kills 20] [--model DIR] [--tokens N] [--seed N]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  digest,
  finishedLayers,
  looksFinished,
  quantizeInProcess,
  resumedLayers,
} from '../test/engine/quantize-process.js';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '20' },
    model: { type: 'string', default: 'test/models/polyglot-moe-18m' },
    tokens: { type: 'string', default: '2048' },
    seed: { type: 'string', default: '1' },
  },
});
const folder = mkdtempSync(join(tmpdir(), 'evenkeel-kill-'));
const job = { model: values.model, tokens: Number(values.tokens), rounding: 'gptq' } as const;
const whole = await quantizeInProcess({ ...job, output: join(folder, 'whole') });
const wanted = digest(join(folder, 'whole'));
process.stdout.write(`undisturbed: ${whole.seconds.toFixed(1)} s, ${finishedLayers(whole)} layers\n`);

let state = Number(values.seed);
const random = (): number => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
let faults = 0;
for (let i = 0; i < Number(values.kills); i++) {
  const output = join(folder, `run-${i}`);
  const moment = random() * whole.seconds;
  const killed = await quantizeInProcess({ ...job, output }, undefined, moment);
  const early = looksFinished(output) && killed.signal !== null && !killed.lines.includes('finished');
  // A run that was finished a moment before the kill has nothing to resume.
  const resumed = looksFinished(output) ? null : await quantizeInProcess({ ...job, output, existing: 'resume' });
  const same = digest(output) === wanted;
  const again = resumed === null ? 0 : Math.max(0, finishedLayers(killed) - resumedLayers(resumed));
  if (!same || again > 0) faults += 1;
  process.stdout.write(
    `${moment.toFixed(1).padStart(6)} s: ${finishedLayers(killed)} layers finished, ` +
      `${resumed === null ? 'already complete' : `resumed with ${resumedLayers(resumed)}`}, ${same ? 'identical' : 'DIFFERENT'}${early ? ', finished as it was killed' : ''}\n`,
  );
  rmSync(output, { recursive: true });
}
rmSync(folder, { recursive: true });
process.stdout.write(`${faults} faults in ${values.kills} kills\n`);
if (faults > 0) process.exitCode = 1;
