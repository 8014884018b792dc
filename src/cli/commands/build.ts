import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import type { BuiltMix } from '../../mix/build.js';
import { EXPORTS, exportMix, type ExportKind } from '../../mix/export.js';
import { writeMix } from '../../mix/write.js';
import type { LaneOptions } from '../../engine/lanes.js';
import { balanceMix } from '../../pipeline/balance.js';
import { routingCacheFolder } from '../../pipeline/routing-counts.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { buildFromRecipe, type MixWithTokenizer } from '../../pipeline/mix.js';
import { createCoverageCounter } from '../../coverage/count.js';
import { renderHtml } from '../../report/html.js';
import type { ReportData } from '../../report/report-data.js';
import { writeReport } from '../written.js';
import { loadRecipe } from '../../recipe/load.js';
import type { MixRecipe, Recipe } from '../../recipe/recipe.js';
import { interruption } from '../exit.js';
import { collect, print, printJson, progressOf } from '../options.js';
import { downloadProgress, type Progress } from '../progress.js';

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
        const pool = options.balance ? recipe.balance.pool : 1;
        const { mix: drawn, tokenizer } = await buildWithProgress(recipe.mix, model, pool, progress);
        const mix =
          model === null || !options.balance ? drawn : await balanceWithProgress(drawn, recipe, model, {}, progress);
        const folder = options.output ?? mixFolderOf(recipe);
        await writeMix(folder, mix, tokenizer);
        await writeReport(join(folder, 'report.html'), renderHtml(mixReport(mix, recipe, model)));
        const exported =
          options.export === undefined ? null : await exportMix(options.export, folder, mix.sequences, tokenizer);
        progress.end();
        if (exported !== null) progress.note(`Exported to ${exported.path}\n${exported.usage}`);
        if (options.json) printJson(mix.manifest);
        else print(describeMix(mix, folder));
      },
    );
}

/** What a mix says without a model pass: languages and channels, no experts. */
function mixReport(mix: BuiltMix, recipe: Recipe, model: string | null): ReportData {
  const counter = createCoverageCounter({ sequences: mix.sequences, floor: 0 });
  const coverage = counter.finish({ model: { path: model ?? '', architecture: `mix of ${basename(recipe.file)}` } });
  return { coverage, manifest: mix.manifest };
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
): Promise<MixWithTokenizer> {
  progress.stage('build mix', null, 'rows');
  const build = buildFromRecipe(recipe, { model, pool, signal: interruption.signal });
  for (;;) {
    const next = await build.next();
    if (next.done === true) return next.value;
    if (next.value.type === 'progress')
      progress.update(next.value.read, `${next.value.tokens.toLocaleString('en-US')} tokens`);
  }
}

/** Audits the mix and, where a cell is under the floor, chooses again from its pool. */
export async function balanceWithProgress(
  drawn: BuiltMix,
  recipe: Recipe,
  model: string,
  lanes: Pick<LaneOptions, 'assume' | 'lanes'>,
  progress: Progress,
): Promise<BuiltMix> {
  const balance = balanceMix(drawn, {
    ...lanes,
    model,
    mix: recipe.mix,
    balance: recipe.balance,
    cache: routingCacheFolder(),
    signal: interruption.signal,
  });
  for (;;) {
    const next = await balance.next();
    if (next.done === true) return next.value;
    const event = next.value;
    if (event.kind === 'balanced') {
      const { tokens, objective } = event.selection;
      progress.note(
        `balanced: ${tokens.toLocaleString('en-US')} tokens chosen anew, ${(100 * objective).toFixed(1)} % of the floor filled`,
      );
      continue;
    }
    const { pass, what } = event;
    if (pass.kind === 'layer-started' && pass.layer === 0) progress.stage(`audit ${what}`, pass.layers, 'layers');
    if (pass.kind === 'layer-finished') progress.update(pass.layer + 1);
  }
}

/** What became of every source's rows. */
export function describeMix({ manifest, sequences }: BuiltMix, folder: string): string {
  const lines = manifest.sources.map(({ source, wanted, read, kept, tokens, dropped }) => {
    const reasons = Object.entries(dropped)
      .filter(([, rows]) => rows > 0)
      .map(([reason, rows]) => `${rows} ${reason}`);
    const asked = wanted === 'all' || wanted === null ? '' : ` of ${wanted} wanted`;
    return `  ${source}: ${kept} of ${read} rows kept${asked}, ${tokens.toLocaleString('en-US')} tokens${reasons.length === 0 ? '' : `; dropped: ${reasons.join(', ')}`}`;
  });
  return [
    `Mix: ${sequences.length} sequences, ${manifest.tokens.toLocaleString('en-US')} tokens`,
    ...lines,
    `Written to ${join(folder, 'mix.parquet')}`,
  ].join('\n');
}
