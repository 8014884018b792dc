import { join } from 'node:path';
import type { LaneThreads } from '../engine/lanes.js';
import type { QuantizeSettings } from '../engine/quantize-settings.js';
import { assertApart } from '../checkpoint/output-folder.js';
import { openCheckpoint } from '../checkpoint/open.js';
import type { Runtime } from '../checkpoint/runtime-limits.js';
import { CheckFailedError, formatLocation, InputError } from '../errors.js';
import { writeMix } from '../mix/write.js';
import { planModel } from '../model/registry.js';
import { modelFolder } from '../pipeline/model-folder.js';
import { checkModuleSets } from '../pipeline/module-sets.js';
import {
  compareOutput,
  runQuantization,
  verifyOutput,
  type Comparison,
  type QuantizeJob,
  type QuantizeOutcome,
} from '../pipeline/quantize.js';
import { groupNotes } from '../pipeline/group-notes.js';
import { mappingNotes } from '../pipeline/mappings.js';
import { commonestScheme, quantizationResult, type QuantizationDocument } from '../pipeline/quantization-result.js';
import { checkRuntimes, limitsOf } from '../pipeline/runtimes.js';
import { quantizeSettings } from '../pipeline/settings.js';
import { loadRecipe } from '../recipe/load.js';
import type { Recipe } from '../recipe/recipe.js';
import { renderHtml } from '../report/html.js';
import { renderModelCard } from '../report/model-card.js';
import { VERSION } from '../version.js';
import type { ReportData } from '../report/report-data.js';
import { renderTerminal } from '../report/terminal.js';
import { interruption } from './exit.js';
import { estimateText } from './estimate-text.js';
import { print, printJson, terminalStyle } from './options.js';
import { downloadProgress, type Progress } from './progress.js';
import { assertFolder, documentText, writeReport } from './written.js';
import { balanceWithProgress, buildWithProgress, mixFolderOf } from './commands/build.js';
import { verifyWithProgress } from './commands/verify.js';

export interface QuantizeCommandOptions {
  readonly set: string[];
  readonly resume: boolean;
  readonly replace: boolean;
  readonly strict: boolean;
  readonly assume?: string;
  readonly lanes?: number;
  readonly memory?: number;
  readonly dryRun: boolean;
  readonly target: readonly Runtime[];
  readonly json: boolean;
}

/**
 * `evenkeel quantize`: mix, checkpoint, verification, measurements and reports of a recipe file.
 *
 * @param threads null for a dry run, which needs none
 */
export async function quantizeRecipe(
  file: string,
  options: QuantizeCommandOptions,
  threads: LaneThreads | null,
  progress: Progress,
): Promise<void> {
  const recipe = await loadRecipe(file, options.set);
  for (const { message, location } of recipe.notes) progress.note(`${formatLocation(location)}: ${message}`);
  if (recipe.model === null)
    throw new InputError('quantize: wanted "model" in the recipe, got none', { location: recipe.locate([]) });
  const model = await modelFolder(recipe.model, {
    location: recipe.locate(['model']),
    onProgress: downloadProgress(progress),
  });
  assertFolder(recipe.output);
  assertApart(model, recipe.output, recipe.locate(['output']));
  const checkpoint = openCheckpoint(model);
  const plan = planModel(checkpoint, options.assume);
  checkModuleSets(plan, recipe.quantize);
  const settings = quantizeSettings(recipe.quantize, checkpoint, options.assume);
  const targets = options.target.length > 0 ? options.target : recipe.quantize.runtimes;
  for (const { message, location } of mappingNotes(plan, recipe.quantize.mappings ?? []))
    progress.note(`${formatLocation(location)}: ${message}`);
  for (const warning of checkRuntimes(targets, limitsOf(checkpoint, plan, settings))) progress.note(warning);
  for (const note of groupNotes(plan, recipe.quantize.scheme, settings)) progress.note(note);
  checkpoint.close();
  if (threads === null) return dryRun(recipe, model, settings, options, progress);
  return buildAndQuantize(recipe, model, settings, { ...options, threads }, progress);
}

async function buildAndQuantize(
  recipe: Recipe,
  model: string,
  settings: QuantizeSettings,
  options: QuantizeCommandOptions & { readonly threads: LaneThreads },
  progress: Progress,
): Promise<void> {
  const { balance } = recipe;
  const { mix: drawn, tokenizer } = await buildWithProgress(recipe.mix, model, balance.pool, progress, balance);
  const balanced = await balanceWithProgress(drawn, recipe, model, options, progress);
  const { mix } = balanced;
  const mixFolder = mixFolderOf(recipe);
  const job: QuantizeJob = {
    model,
    sequences: mix.sequences,
    settings,
    floor: balance.floor,
    floors: balance.floors,
    output: recipe.output,
    existing: options.resume ? 'resume' : options.replace ? 'replace' : 'refuse',
    assume: options.assume,
    lanes: options.threads.lanes.count,
    threads: options.threads,
    memory: options.memory,
    signal: interruption.signal,
  };
  interruption.advice = `Go on with: evenkeel quantize ${recipe.file} --resume`;
  const outcome = await quantizeWithProgress(job, progress, () => writeMix(mixFolder, mix, tokenizer));
  interruption.advice = null;
  // The lanes end beside what follows, where nothing of it needs them.
  if (recipe.evaluate === null) void options.threads.close();
  const quantization = quantizationResult(outcome, recipe.quantize, settings.format);
  // Beside the weights, whatever becomes of the measurements that follow.
  await writeReport(join(recipe.output, 'evenkeel.json'), `${JSON.stringify(quantization, null, 1)}\n`);
  const findings = await verifyWithProgress(verifyOutput(recipe.output, model, settings, options.assume), progress);
  const heldOut = recipe.evaluate === null ? null : await buildWithProgress(recipe.evaluate.mix, model, 1, progress);
  const comparison =
    heldOut === null
      ? null
      : await compareWithProgress(job, heldOut.mix.sequences, recipe.evaluate!.baseline, progress);
  progress.end();

  const facts = reportData(outcome, quantization, comparison, mix.manifest);
  const data = balanced.balance === null ? facts : { ...facts, balance: balanced.balance };
  const paths = {
    mix: join(mixFolder, 'mix.parquet'),
    'coverage.json': join(mixFolder, 'coverage.json'),
    report: join(mixFolder, 'report.html'),
    'evenkeel.json': join(recipe.output, 'evenkeel.json'),
    checkpoint: recipe.output,
  };
  await writeReport(paths['coverage.json'], documentText(outcome.coverage));
  if (balanced.balance !== null) await writeReport(join(mixFolder, 'balance.json'), documentText(balanced.balance));
  await writeReport(join(mixFolder, 'evenkeel.json'), `${JSON.stringify(quantization, null, 1)}\n`);
  if (comparison !== null)
    await writeReport(join(mixFolder, 'evaluation.json'), `${JSON.stringify(comparison.quantized, null, 1)}\n`);
  await writeReport(paths.report, renderHtml(data));
  const baseModel = recipe.model?.kind === 'hub' ? recipe.model.repository : model;
  const scheme = commonestScheme(outcome.targets) ?? recipe.quantize.scheme;
  const card = renderModelCard({ baseModel, quantize: { ...recipe.quantize, scheme }, version: VERSION, data });
  await writeReport(join(recipe.output, 'README.md'), card);
  if (options.json)
    printJson({
      coverage: outcome.coverage,
      quantization,
      evaluation: comparison?.quantized ?? null,
      roundToNearest: comparison?.roundToNearest ?? null,
      findings,
      paths,
    });
  else print(renderTerminal(data, { ...terminalStyle(), paths }));
  if (findings.length > 0) {
    const list = findings.map(({ check, subject, message }) => `  ${check}: ${subject} ${message}`);
    throw new CheckFailedError(
      `verification found ${findings.length} faults in '${recipe.output}':\n${list.join('\n')}`,
    );
  }
  if (options.strict && outcome.coverage.verdict === 'fail')
    throw new CheckFailedError('the mix is under its floor (--strict)');
}

/** Prints the estimate; a run that would not fit is bad input. */
async function dryRun(
  recipe: Recipe,
  model: string,
  settings: QuantizeSettings,
  { assume, lanes, memory, json }: QuantizeCommandOptions,
  progress: Progress,
): Promise<void> {
  const { sequenceLength } = recipe.mix;
  const tokens = recipe.mix.tokens ?? (await tokensOfMix(recipe, model, progress));
  progress.stage('probe this machine');
  const { output } = recipe;
  const { estimateQuantization } = await import('../pipeline/estimate.js');
  const estimate = await estimateQuantization({
    model,
    settings,
    tokens,
    sequenceLength,
    output,
    assume,
    lanes,
    memory,
  });
  progress.end();
  if (json) printJson(estimate);
  else print(estimateText(estimate));
  if (estimate.shortages.length > 0)
    throw new InputError(`quantize '${model}': it would not fit: ${estimate.shortages.join('; ')}`);
}

/** A mix without a budget is as large as its sources: only building it tells. */
async function tokensOfMix(recipe: Recipe, model: string, progress: Progress): Promise<number> {
  const { mix } = await buildWithProgress(recipe.mix, model, recipe.balance.pool, progress);
  return mix.sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
}

function reportData(
  outcome: QuantizeOutcome,
  quantization: QuantizationDocument,
  comparison: Comparison | null,
  manifest: ReportData['manifest'],
): ReportData {
  return {
    coverage: outcome.coverage,
    quantization,
    ...(manifest === undefined ? {} : { manifest }),
    ...(comparison === null ? {} : { evaluation: comparison.quantized }),
    ...(comparison?.roundToNearest == null ? {} : { baselineEvaluation: comparison.roundToNearest }),
  };
}

/** @param beside what this thread does once the lanes have work */
async function quantizeWithProgress(
  job: QuantizeJob,
  progress: Progress,
  beside: () => Promise<void>,
): Promise<QuantizeOutcome> {
  const run = runQuantization(job);
  let isBusy = false;
  try {
    for (;;) {
      const next = await run.next();
      if (next.done === true) return next.value;
      const event = next.value;
      if (event.kind === 'planned') {
        progress.stage('quantize', event.plan.layers.length, 'layers');
        if (event.resumedLayers > 0) progress.note(`${event.resumedLayers} layers were finished by the earlier run`);
      }
      if (event.kind === 'layer-started' && !isBusy) {
        isBusy = true;
        await beside();
      }
      if (event.kind === 'layer-finished') progress.update(event.layer + 1, lossOf(event.report));
    }
  } finally {
    // When the other work fails: the run lets go of its folder, its files and the lanes.
    await run.return(undefined as never);
  }
}

/** Mean error of what the layer's Linears put out, relative to the original's; short, to fit a line of 80 columns. */
function lossOf({ experts, linears }: QuantizeOutcome['reports'][number]): string {
  const errors = [
    ...linears.map(({ relativeError }) => relativeError),
    ...experts.flatMap(({ relativeErrors }) => relativeErrors),
  ];
  if (errors.length === 0) return '';
  return `error ${((100 * errors.reduce((sum, error) => sum + error, 0)) / errors.length).toFixed(1)} %`;
}

async function compareWithProgress(
  job: QuantizeJob,
  sequences: QuantizeJob['sequences'],
  baseline: boolean,
  progress: Progress,
): Promise<Comparison> {
  const run = compareOutput(job, sequences, baseline);
  for (;;) {
    const next = await run.next();
    if (next.done === true) return next.value;
    if (next.value.kind !== 'pass') continue;
    if (next.value.layer === 0) progress.stage(`evaluate ${next.value.model}`, next.value.layers, 'layers');
    progress.update(next.value.layer + 1);
  }
}
