import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import type { BuiltMix } from '../../mix/build.js';
import { EXPORTS, exportMix, type ExportKind } from '../../mix/export.js';
import { writeMix } from '../../mix/write.js';
import type { LaneOptions } from '../../engine/lanes.js';
import { balanceMix, type BalancedMix } from '../../pipeline/balance.js';
import { routingCacheFolder } from '../../pipeline/routing-counts.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { buildFromRecipe, type MixWithTokenizer } from '../../pipeline/mix.js';
import { createCoverageCounter } from '../../coverage/count.js';
import { renderHtml } from '../../report/html.js';
import type { ReportData } from '../../report/report-data.js';
import { balanceSentences } from '../../report/balance-sentences.js';
import { verdictSentence } from '../../report/verdict-sentences.js';
import { showPass } from '../pass-progress.js';
import { assertFolder, documentText, writeReport } from '../written.js';
import { loadRecipe } from '../../recipe/load.js';
import type { BalanceRecipe, MixRecipe, Recipe } from '../../recipe/recipe.js';
import { interruption } from '../exit.js';
import { describeMix } from '../describe-mix.js';
import { collect, print, printJson, progressOf } from '../options.js';
import { downloadProgress, sourceDownloads, type Progress } from '../progress.js';

export function buildCommand(): Command {
  return new Command('build')
    .description('Build the calibration mix of a recipe: sources, chat template, tokenizer, windows, quotas.')
    .argument('<recipe>', 'recipe file')
    .option('--output <folder>', "where the mix goes; else 'mix' beside the recipe's output")
    .option('--set <key=value>', 'put a value over the recipe; repeatable', collect, [])
    .addOption(new Option('--export <tool>', 'also write what another tool takes').choices([...EXPORTS]))
    .option('--no-balance', 'draw by weights alone, without running the model')
    .option('--json', 'the manifest on stdout', false)
    .addHelpText('after', '\nExample:\n  evenkeel build recipes/demo.yaml --output out/mix')
    .action(
      async (
        file: string,
        options: { output?: string; set: string[]; balance: boolean; export?: ExportKind; json: boolean },
        command: Command,
      ) => {
        const progress = progressOf(command);
        const recipe = await loadRecipe(file, options.set);
        for (const { message } of recipe.notes) progress.note(message);
        const model =
          recipe.model === null
            ? null
            : await modelFolder(recipe.model, {
                location: recipe.locate(['model']),
                onProgress: downloadProgress(progress),
              });
        const folder = options.output ?? mixFolderOf(recipe);
        assertFolder(folder);
        const pool = options.balance ? recipe.balance.pool : 1;
        const { mix: drawn, tokenizer } = await buildWithProgress(recipe.mix, model, pool, progress, recipe.balance);
        const balanced =
          model === null || !options.balance
            ? { mix: drawn, coverage: null, balance: null }
            : await balanceWithProgress(drawn, recipe, model, {}, progress);
        const { mix } = balanced;
        await writeMix(folder, mix, tokenizer);
        await writeFacts(folder, balanced, recipe, model);
        const exported =
          options.export === undefined ? null : await exportMix(options.export, folder, mix.sequences, tokenizer);
        progress.end();
        if (exported !== null) progress.note(`Exported to ${exported.path}\n${exported.usage}`);
        if (options.json) printJson(mix.manifest);
        else print([describeMix(mix, folder), ...describeBalance(balanced)].join('\n'));
      },
    );
}

/** Writes what was counted, how the rows were chosen, and the report, beside the mix. */
async function writeFacts(
  folder: string,
  { mix, coverage, balance }: BalancedMix,
  recipe: Recipe,
  model: string | null,
): Promise<void> {
  const write = (name: string, document: object | null): Promise<void> =>
    document === null
      ? rm(join(folder, name), { force: true })
      : writeReport(join(folder, name), documentText(document));
  await write('coverage.json', coverage);
  await write('balance.json', balance);
  const data: ReportData = {
    ...(coverage === null ? uncounted(mix, recipe, model) : { coverage }),
    ...(balance === null ? {} : { balance }),
    manifest: mix.manifest,
  };
  await writeReport(join(folder, 'report.html'), renderHtml(data));
}

/** What a mix says without a model pass: languages and channels, no experts. */
function uncounted(mix: BuiltMix, recipe: Recipe, model: string | null): Pick<ReportData, 'coverage' | 'isUncounted'> {
  const { floors } = recipe.balance;
  const counter = createCoverageCounter({ sequences: mix.sequences, floor: 0, floors });
  const architecture = `mix of ${basename(recipe.file)}`;
  return { coverage: counter.finish({ model: { path: model ?? '', architecture } }), isUncounted: true };
}

/** Where a recipe's mix is written: beside the checkpoint, never in it. */
export function mixFolderOf(recipe: Recipe): string {
  return `${recipe.output}-mix`;
}

export async function buildWithProgress(
  recipe: MixRecipe,
  model: string | null,
  pool: number,
  progress: Progress,
  { mustInclude }: Partial<Pick<BalanceRecipe, 'mustInclude'>> = {},
): Promise<MixWithTokenizer> {
  const stage = () => progress.stage('build mix', null, 'rows');
  stage();
  const must = mustInclude === undefined ? {} : { mustInclude };
  const onDownload = sourceDownloads(progress, stage);
  const build = buildFromRecipe(recipe, { model, pool, ...must, signal: interruption.signal, onDownload });
  for (;;) {
    const next = await build.next();
    if (next.done === true) return next.value;
    if (next.value.type === 'note') progress.note(next.value.message);
    if (next.value.type === 'progress')
      progress.update(next.value.read, `${next.value.tokens.toLocaleString('en-US')} tokens`);
  }
}

/** Audits the mix and, where it does not hold, chooses again from its pool. */
export async function balanceWithProgress(
  drawn: BuiltMix,
  recipe: Recipe,
  model: string,
  options: Pick<LaneOptions, 'assume' | 'lanes' | 'threads'> & { readonly memory?: number | undefined },
  progress: Progress,
): Promise<BalancedMix> {
  const { assume, lanes, threads, memory } = options;
  const balance = balanceMix(drawn, {
    model,
    assume,
    lanes,
    threads,
    memory,
    mix: recipe.mix,
    balance: recipe.balance,
    cache: routingCacheFolder(),
    signal: interruption.signal,
  });
  for (;;) {
    const next = await balance.next();
    if (next.done === true) return next.value;
    showPass(progress, `audit ${next.value.what}`, next.value.event);
  }
}

/** Whether the mix holds, and what choosing anew did about it. */
function describeBalance({ coverage, balance }: BalancedMix): string[] {
  return [
    ...(balance === null ? [] : balanceSentences(balance)),
    ...(coverage === null ? [] : [`${coverage.verdict === 'pass' ? 'PASS' : 'FAIL'}  ${verdictSentence(coverage)}`]),
  ];
}
