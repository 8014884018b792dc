import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import type { Coverage } from '../../coverage/coverage.js';
import { suggestFixes, type FixList } from '../../coverage/fix-list.js';
import { changeRecipe } from '../../coverage/recipe-change.js';
import { coverageStability } from '../../coverage/stability.js';
import { CheckFailedError, InputError } from '../../errors.js';
import { createQualityGate } from '../../mix/balance-gate.js';
import { auditSequences } from '../../pipeline/audit.js';
import { auditPrefixes } from '../../pipeline/audit-prefix.js';
import { holdsCounts, importCoverage } from '../../pipeline/import-coverage.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { countRouting, modelShape, routingCacheFolder } from '../../pipeline/routing-counts.js';
import { renderHtml } from '../../report/html.js';
import { renderMarkdown } from '../../report/markdown.js';
import { renderTerminal } from '../../report/terminal.js';
import type { ReportData } from '../../report/report-data.js';
import { readSubject, recipeFacts, recipeText, suggestedRecipe, type Subject } from '../audit-subject.js';
import { interruption } from '../exit.js';
import { memoryBudget, parseFloors, print, printJson, progressOf, terminalStyle, wholeNumber } from '../options.js';
import { showPass } from '../pass-progress.js';
import type { Progress } from '../progress.js';
import { readSequences } from '../samples.js';
import { documentText, writeReport } from '../written.js';

interface AuditCommandOptions {
  readonly model?: string;
  readonly floor?: string;
  readonly suggest?: string;
  readonly seeds: number;
  readonly prefix?: number;
  readonly stopEarly: boolean;
  readonly balance: boolean;
  readonly strict: boolean;
  readonly output?: string;
  readonly sequenceLength: number;
  readonly assume?: string;
  readonly lanes?: number;
  readonly memory?: number;
  readonly json: boolean;
}

const EXAMPLES = `
Examples:
  evenkeel audit out/mix --model test/models/polyglot-moe-18m --floor 64,el=200,reasoning=500 --strict
  evenkeel audit out/mix --model test/models/polyglot-moe-18m --suggest builtin:languages
  evenkeel audit recipes/demo.yaml --seeds 3
  evenkeel audit imatrix.gguf`;

/** Tokens run of every sequence at first, where stopping early is asked for and nothing else. */
const FIRST_PREFIX = 64;

export function auditCommand(): Command {
  return new Command('audit')
    .description('Count the tokens that each expert, language and channel gets from a mix, against a floor.')
    .argument(
      '<mix>',
      "mix folder, recipe, JSONL of input_ids, any file of samples, or what another tool counted: llama.cpp's " +
        "imatrix (.gguf), Model-Optimizer's .moe.html",
    )
    .option('--model <dir>', "model folder; else the recipe's; counts of another tool need none")
    .option(
      '--floor <n[,name=n]>',
      'routed tokens every expert must have; tokens per language or channel; length=n: median tokens per sequence ' +
        "(default: the recipe's, or 64)",
    )
    .option('--suggest <pool>', 'mix folder or file of samples: name what of it would feed the cells under the floor')
    .option('--seeds <n>', 'of a recipe: build it with so many seeds, and tell luck from nature', wholeNumber(1), 1)
    .option('--no-balance', 'of a recipe: audit the draw by weights alone')
    .option(
      '--prefix <n>',
      'run only the first n tokens of every sequence, and estimate the rest with its error',
      wholeNumber(1),
    )
    .option('--stop-early', 'double the prefix until the estimate settles every cell against the floor', false)
    .option('--strict', 'exit with 3 when something is under its floor', false)
    .option('--output <folder>', "where coverage.json, report.html and report.md go; else '<mix>-audit' beside it")
    .option('--sequence-length <n>', 'window length for files of samples', wholeNumber(2), 2048)
    .option('--assume <family>', 'use this model family whatever config.json says')
    .option('--lanes <n>', 'worker threads', wholeNumber(1))
    .option('--memory <gib>', 'stay within this much memory; hidden states that do not fit go to disk', memoryBudget)
    .option('--json', 'coverage.json on stdout', false)
    .addHelpText('after', EXAMPLES)
    .action(async (path: string, options: AuditCommandOptions, command: Command) => {
      const progress = progressOf(command);
      const audited = holdsCounts(path)
        ? await auditImport(path, options, progress)
        : await auditMix(path, options, progress);
      progress.end();
      await report(audited, options);
    });
}

interface Audited {
  readonly data: ReportData;
  /** Where reports go unless told. */
  readonly folder: string;
  readonly subject: Subject | null;
}

/** Counts that another tool made: there is nothing to run. */
async function auditImport(path: string, options: AuditCommandOptions, progress: Progress): Promise<Audited> {
  if (!existsSync(path)) throw new InputError(`audit '${path}': there is no such file`);
  for (const [flag, given] of [
    ['--seeds', options.seeds > 1],
    ['--prefix', options.prefix !== undefined],
    ['--stop-early', options.stopEarly],
  ] as const) {
    if (given) throw new InputError(`audit '${path}' with ${flag}: wanted a mix or a recipe, got counts made already`);
  }
  const { floor, floors } = parseFloors(options.floor ?? '64');
  const coverage = await importCoverage(path, floor, floors);
  const folder = `${path}-audit`;
  if (options.suggest === undefined) return { data: { coverage }, folder, subject: null };
  if (options.model === undefined) {
    throw new InputError(`audit '${path}' with --suggest: wanted --model DIR to count the pool with, got none`);
  }
  const model = await modelFolder({ kind: 'folder', path: options.model });
  const fixes = await suggest(options.suggest, { coverage, model, subject: null }, options, progress);
  return { data: { coverage, fixes }, folder, subject: null };
}

async function auditMix(path: string, options: AuditCommandOptions, progress: Progress): Promise<Audited> {
  const subject = await readSubject(path, options, progress);
  const { model, manifest, balance, others, output } = subject;
  const coverage = await audit(subject, subject.sequences, options, progress);
  const runs = [coverage];
  for (const sequences of others) runs.push(await audit(subject, sequences, options, progress));
  const fixes =
    options.suggest === undefined
      ? null
      : await suggest(options.suggest, { coverage, model, subject }, options, progress);
  const data: ReportData = {
    coverage,
    ...(fixes === null ? {} : { fixes }),
    ...(manifest === null ? {} : { manifest }),
    ...(balance === null ? {} : { balance }),
    ...(runs.length === 1 ? {} : { stability: coverageStability(runs) }),
  };
  return { data, folder: output, subject };
}

/** One pass over the model, or as much of it as the estimate needs. */
async function audit(
  { model, floor, floors }: Subject,
  sequences: Subject['sequences'],
  { assume, lanes, memory, prefix, stopEarly }: AuditCommandOptions,
  progress: Progress,
): Promise<Coverage> {
  const pass = { model, sequences, floor, floors, assume, lanes, memory, signal: interruption.signal };
  if (prefix === undefined && !stopEarly) {
    const run = auditSequences(pass);
    for (;;) {
      const next = await run.next();
      if (next.done === true) return next.value.coverage;
      showPass(progress, 'audit', next.value);
    }
  }
  const run = auditPrefixes({ ...pass, prefix: prefix ?? FIRST_PREFIX, stopEarly, cache: routingCacheFolder() });
  for (;;) {
    const next = await run.next();
    if (next.done === true) return next.value;
    const event = next.value;
    if (event.kind === 'estimated') {
      progress.note(
        `first ${event.prefix} tokens of each sequence (${event.tokensRun.toLocaleString('en-US')} in all): ` +
          `${event.open} cells open`,
      );
    } else if (event.kind === 'whole') {
      if (event.reason === 'cheaper')
        progress.note('running everything costs no more than estimating: the audit is exact');
    } else showPass(progress, 'audit', event);
  }
}

/** Counts a pool's routing, cached between calls, and looks for what of it closes the gaps. */
async function suggest(
  path: string,
  { coverage, model, subject }: { coverage: Coverage; model: string; subject: Subject | null },
  { sequenceLength, assume, lanes, memory }: AuditCommandOptions,
  progress: Progress,
): Promise<FixList> {
  const cells = (layers: readonly { readonly layer: number; readonly experts: number }[]): string =>
    layers.map(({ layer, experts }) => `${layer}:${experts}`).join(' ');
  if (cells(coverage.layers) !== cells(modelShape(model, assume).layers)) {
    throw new InputError(`suggest out of '${path}': '${model}' has other layers or experts than what was audited`);
  }
  progress.stage('read pool');
  const { sequences } = await readSequences(path, model, subject?.recipe?.mix.sequenceLength ?? sequenceLength);
  const gate = createQualityGate(sequences);
  const pass = { model, sequences, assume, lanes, memory, signal: interruption.signal };
  const count = countRouting({ ...pass, prefix: null, cache: routingCacheFolder() });
  for (;;) {
    const next = await count.next();
    if (next.done !== true) {
      showPass(progress, 'audit pool', next.value);
      continue;
    }
    const recipe = recipeFacts({ recipe: subject?.recipe ?? null, manifest: subject?.manifest ?? null }, path);
    return suggestFixes({ coverage, candidates: sequences, counts: next.value, accepts: gate.accepts, recipe });
  }
}

/** Writes all forms of the report and prints one. */
async function report({ data, folder, subject }: Audited, options: AuditCommandOptions): Promise<void> {
  const { coverage, fixes, stability, balance } = data;
  const directory = options.output ?? folder;
  const document = {
    ...coverage,
    ...(stability === undefined ? {} : { stability }),
    ...(fixes === undefined ? {} : { fixes }),
    ...(balance === undefined ? {} : { balance }),
  };
  const paths = { 'coverage.json': join(directory, 'coverage.json'), report: join(directory, 'report.html') };
  await writeReport(paths['coverage.json'], documentText(document));
  await writeReport(paths.report, renderHtml(data));
  await writeReport(join(directory, 'report.md'), renderMarkdown(data));
  const patched = await writeSuggestion(directory, fixes, subject);
  if (options.json) printJson(document);
  else print(renderTerminal(data, { ...terminalStyle(), paths: { ...paths, ...patched } }));
  if (options.strict && coverage.verdict === 'fail') {
    throw new CheckFailedError('the mix is under its floor (--strict)');
  }
}

/** The recipe with the additions in it, or a patch where there is no recipe to change. */
async function writeSuggestion(
  directory: string,
  fixes: FixList | undefined,
  subject: Subject | null,
): Promise<Record<string, string>> {
  if (fixes === undefined || fixes.change === null) return {};
  const recipe = subject?.recipe ?? null;
  const changed = recipe === null ? null : changeRecipe(await recipeText(recipe), fixes.change);
  if (recipe !== null && changed !== null) {
    const path = suggestedRecipe(recipe);
    await writeReport(path, changed);
    return { 'changed recipe': path };
  }
  const path = join(directory, 'recipe-patch.yaml');
  await writeReport(path, fixes.recipePatch);
  return { 'recipe patch': path };
}
