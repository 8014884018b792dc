/**
 * The real llm-compressor and Evenkeel side by side: same model, same calibration token ids, held-out text of 45 kinds.
 *
 *     npm run bench:llm-compressor -- [--repeat 3] [--work out/bench-llm-compressor] [--sequences 96] [--length 512]
 *
 * Prints Markdown: mean KL to the unquantized model of both, of plain rounding, and their ratios; whole-process seconds
 * and peak memory of both, medians over the repeats. EVENKEEL_LLMC_PYTHON names a Python that has llm-compressor;
 * without it, the bench makes its own virtual environment.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { evaluateModels, type Contender } from '../../src/engine/evaluate.js';
import type { Evaluation } from '../../src/evaluate/summary.js';
import { quantizeSettings } from '../../src/pipeline/settings.js';
import { defaultQuantize } from '../../src/recipe/quantize.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';
import { pythonWith } from '../../test/interop/environment.js';
import { calibrationIds } from './calibration.js';
import { heldOutText } from './held-out.js';
import { qualityTable, speedTable, type Measured } from './tables.js';

const { values } = parseArgs({
  options: {
    repeat: { type: 'string', default: '3' },
    work: { type: 'string', default: 'out/bench-llm-compressor' },
    sequences: { type: 'string', default: '96' },
    length: { type: 'string', default: '512' },
  },
});
const SCHEMES = ['W4A16', 'W4A16_ASYM'] as const;
const MODEL = resolve('test/models/polyglot-moe-18m');
const HELD_OUT_TOKENS = 1024;
/** Relative difference that transformers' own KL may have: it adds in another order. */
const KL_TOLERANCE = 1e-3;

const work = resolve(values.work);
mkdirSync(work, { recursive: true });
const here = (name: string): string => fileURLToPath(new URL(`./${name}`, import.meta.url));
const python = await pythonWith({
  name: 'llm-compressor',
  requirements: new URL('./requirements.txt', import.meta.url),
  variable: 'EVENKEEL_LLMC_PYTHON',
});

const ids = await calibrationIds(here('calibration.yaml'), Number(values.sequences), Number(values.length));
const idsFile = join(work, 'calibration.jsonl');
writeFileSync(idsFile, ids.map((row) => `${JSON.stringify({ input_ids: row })}\n`).join(''));
const recipe = join(work, 'recipe.yaml');
writeFileSync(
  recipe,
  `model: ${MODEL}
mix:
  sequence_length: ${values.length}
  sources: [{dataset: ./calibration.jsonl, format: input_ids}]
  clean: {exact_duplicates: off, near_duplicates: off, degenerate: off}
balance: {floor: 64, pool: 1}
output: ./evenkeel
`,
);

const load = loadavg()[0]!.toFixed(1);
const measured = new Map<string, Measured[]>();
for (let round = 0; round < Number(values.repeat); round++) {
  for (const scheme of SCHEMES) {
    const theirs = join(work, `llm-compressor-${scheme}`);
    measure(`llm-compressor ${scheme}`, theirs, [python, here('awq.py'), MODEL, idsFile, scheme, theirs]);
    for (const rounding of ['gptq', 'nearest']) {
      const output = join(work, `evenkeel-${rounding}-${scheme}`);
      const settings = [`quantize.scheme=${scheme}`, `quantize.rounding=${rounding}`, `output=${output}`];
      const set = settings.flatMap((setting) => ['--set', setting]);
      // Started as npx starts it, with what its first line says to Node.
      measure(`evenkeel ${rounding} ${scheme}`, output, ['dist/cli/main.js', 'quantize', recipe, ...set]);
    }
  }
}

const heldOut = heldOutText(await loadTokenizer(MODEL), work, HELD_OUT_TOKENS, Number(values.length));
const checkpoint = openCheckpoint(MODEL);
const contenders = SCHEMES.flatMap((scheme): Contender[] => {
  const symmetric = scheme === 'W4A16';
  const settings = quantizeSettings(
    { ...defaultQuantize(), scheme: { bits: 4, symmetric, groupSize: 128 } },
    checkpoint,
  );
  return [
    { kind: 'folder', name: `llm-compressor ${scheme}`, directory: join(work, `llm-compressor-${scheme}`) },
    { kind: 'folder', name: `evenkeel gptq ${scheme}`, directory: join(work, `evenkeel-gptq-${scheme}`) },
    { kind: 'folder', name: `evenkeel nearest ${scheme}`, directory: join(work, `evenkeel-nearest-${scheme}`) },
    { kind: 'round-to-nearest', name: `round to nearest ${scheme}`, settings },
  ];
});
checkpoint.close();
const evaluations = new Map<string, Evaluation>();
for await (const event of evaluateModels({ model: MODEL, contenders, sequences: heldOut }))
  if (event.kind === 'compared') evaluations.set(event.contender, event.evaluation);

checkWithTransformers('el', 'W4A16');
const tokens = heldOut.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
process.stdout.write(
  `${availableParallelism()} cores, load average ${load} before the first run; ${ids.length} × ${values.length} calibration tokens, ` +
    `${tokens} held-out tokens of ${new Set(heldOut.map(({ language }) => language)).size} kinds; medians of ${values.repeat}\n\n` +
    `${speedTable(measured, SCHEMES)}\n\n${qualityTable(evaluations, SCHEMES)}\n`,
);

/** Runs one side as a process of its own, from reading the model to the checkpoint on disk. */
function measure(name: string, output: string, command: readonly string[]): void {
  rmSync(output, { recursive: true, force: true });
  const log = join(work, `${name.replaceAll(' ', '-')}.log`);
  const result = JSON.parse(
    execFileSync('python3', [here('measure.py'), log, ...command], { encoding: 'utf8' }),
  ) as Measured & {
    code: number;
  };
  if (result.code !== 0) throw new Error(`${name} failed:\n${readFileSync(log, 'utf8').slice(-2000)}`);
  process.stderr.write(`${name}: ${result.seconds.toFixed(1)} s, ${result.peakMebibytes.toFixed(0)} MiB\n`);
  measured.set(name, [...(measured.get(name) ?? []), result]);
}

/** Our evaluator against transformers and compressed-tensors, on one language and the peer's checkpoint. */
function checkWithTransformers(language: string, scheme: string): void {
  const sequences = heldOut.filter((sequence) => sequence.language === language).map(({ inputIds }) => [...inputIds]);
  const file = join(work, 'cross-check.json');
  writeFileSync(file, JSON.stringify(sequences));
  const output = execFileSync(python, [here('kl.py'), MODEL, join(work, `llm-compressor-${scheme}`), file], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const kl = Number(output.trim().split('\n').at(-1));
  const ours = evaluations.get(`llm-compressor ${scheme}`)!.groups[language]!.kl;
  process.stderr.write(`KL of ${language}: ${ours.toFixed(6)} here, ${kl.toFixed(6)} by transformers\n`);
  if (Math.abs(kl - ours) > KL_TOLERANCE * kl)
    throw new Error(`the evaluators differ: ${ours} here, ${kl} by transformers`);
}
