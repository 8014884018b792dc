// Quantizes a model in a process of its own, so that a test can kill it. Prints one line per event.
import { openCheckpoint } from '../../dist/checkpoint/open.js';
import { runQuantization } from '../../dist/pipeline/quantize.js';
import { quantizeSettings } from '../../dist/pipeline/settings.js';
import { defaultQuantize } from '../../dist/recipe/quantize.js';

const {
  model,
  output,
  existing,
  rounding = 'nearest',
  tokens = 2048,
  length = 256,
  memory,
  lanes = 2,
} = JSON.parse(process.argv[2]);

/** The same tokens every time. */
function sequences() {
  let state = 1;
  return Array.from({ length: tokens / length }, (_, i) => ({
    inputIds: Int32Array.from({ length }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) ** 2 * (model.includes('polyglot') ? 16_000 : 300));
    }),
    channels: new Uint8Array(length),
    language: ['de', 'el', 'ka', 'zh'][i % 4],
    category: 'multilingual_multiturn',
    source: 'test',
    revision: null,
    license: null,
    recordId: `${i}`,
    window: 0,
  }));
}

try {
  const checkpoint = openCheckpoint(model);
  const settings = quantizeSettings({ ...defaultQuantize(), rounding }, checkpoint);
  checkpoint.close();
  const abort = new AbortController();
  process.on('SIGINT', () => abort.abort());
  const run = runQuantization({
    model,
    output,
    existing,
    settings,
    sequences: sequences(),
    floor: 1,
    lanes,
    ...(memory === undefined ? {} : { memory }),
    signal: abort.signal,
  });
  for await (const event of run) {
    if (event.kind === 'planned') process.stdout.write(`planned, ${event.resumedLayers} finished before\n`);
    if (event.kind.startsWith('layer-')) process.stdout.write(`${event.kind} ${event.layer}\n`);
  }
  process.stdout.write('finished\n');
} catch (error) {
  process.stdout.write(`error ${error.name} ${error.message}\n`);
  process.exit(2);
}
