import { join } from 'node:path';
import { Command } from 'commander';
import type { Coverage } from '../../coverage/coverage.js';
import { suggestFixes, type FixList } from '../../coverage/fix-list.js';
import { CheckFailedError } from '../../errors.js';
import { auditSequences, type AuditResult } from '../../pipeline/audit.js';
import { countRouting, routingCacheFolder } from '../../pipeline/routing-counts.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { renderHtml } from '../../report/html.js';
import { renderTerminal } from '../../report/terminal.js';
import type { ReportData } from '../../report/report-data.js';
import { interruption } from '../exit.js';
import { memoryBudget, parseFloors, print, printJson, progressOf, terminalStyle, wholeNumber } from '../options.js';
import type { Progress } from '../progress.js';
import { readSequences } from '../samples.js';
import { writeReport } from '../written.js';

interface AuditCommandOptions {
  readonly model: string;
  readonly floor: string;
  readonly suggest?: string;
  readonly strict: boolean;
  readonly output?: string;
  readonly sequenceLength: number;
  readonly assume?: string;
  readonly lanes?: number;
  readonly memory?: number;
  readonly json: boolean;
}

export function auditCommand(): Command {
  return new Command('audit')
    .description('Count the tokens that each expert, language and channel gets from a mix, against a floor.')
    .argument('<mix>', 'mix folder, JSONL of input_ids, or any file of samples')
    .requiredOption('--model <dir>', 'model folder')
    .option('--floor <n[,lang=n]>', 'routed tokens every expert must have, and tokens per language', '64')
    .option('--suggest <pool>', 'mix folder or file of samples: name what of it would feed the cells under the floor')
    .option('--strict', 'exit with 3 when something is under its floor', false)
    .option('--output <folder>', 'where coverage.json and report.html go; else beside the mix')
    .option('--sequence-length <n>', 'window length for files of samples', wholeNumber(2), 2048)
    .option('--assume <family>', 'use this model family whatever config.json says')
    .option('--lanes <n>', 'worker threads', wholeNumber(1))
    .option('--memory <gib>', 'stay within this much memory; hidden states that do not fit go to disk', memoryBudget)
    .option('--json', 'coverage.json on stdout', false)
    .addHelpText(
      'after',
      '\nExamples:\n  evenkeel audit out/mix --model test/models/polyglot-moe-18m --floor 64,el=200 --strict\n  evenkeel audit builtin:languages --model test/models/polyglot-moe-18m',
    )
    .action(async (path: string, options: AuditCommandOptions, command: Command) => {
      const progress = progressOf(command);
      const model = await modelFolder({ kind: 'folder', path: options.model });
      const { floor, languages } = parseFloors(options.floor);
      progress.stage('read samples');
      const mix = await readSequences(path, model, options.sequenceLength);
      const audit = auditSequences({
        model,
        sequences: mix.sequences,
        floor,
        floors: languages,
        assume: options.assume,
        lanes: options.lanes,
        memory: options.memory,
        signal: interruption.signal,
      });
      let result: AuditResult;
      for (;;) {
        const next = await audit.next();
        if (next.done === true) {
          result = next.value;
          break;
        }
        if (next.value.kind === 'layer-started') {
          if (next.value.layer === 0) progress.stage('audit', next.value.layers, 'layers');
        } else if (next.value.kind === 'layer-finished') progress.update(next.value.layer + 1);
      }
      const fixes =
        options.suggest === undefined
          ? null
          : await suggestWithProgress(options.suggest, model, result.coverage, options, progress);
      progress.end();
      const data: ReportData = {
        coverage: result.coverage,
        ...(fixes === null ? {} : { fixes }),
        ...(mix.manifest === null ? {} : { manifest: mix.manifest }),
      };
      const folder =
        options.output ??
        (mix.manifest !== null && !path.startsWith('builtin:') ? path : `${path.replace(/^builtin:/, '')}-audit`);
      const paths = { 'coverage.json': join(folder, 'coverage.json'), report: join(folder, 'report.html') };
      await writeReport(paths['coverage.json'], `${JSON.stringify(result.coverage, null, 1)}\n`);
      await writeReport(paths.report, renderHtml(data));
      if (options.json) printJson(result.coverage);
      else print(renderTerminal(data, { ...terminalStyle(), paths }));
      if (options.strict && result.coverage.verdict === 'fail')
        throw new CheckFailedError('the mix is under its floor (--strict)');
    });
}

/** Counts a pool's routing, cached between calls, and looks for what of it closes the gaps. */
async function suggestWithProgress(
  path: string,
  model: string,
  coverage: Coverage,
  { sequenceLength, assume, lanes }: AuditCommandOptions,
  progress: Progress,
): Promise<FixList> {
  const { sequences } = await readSequences(path, model, sequenceLength);
  const count = countRouting({
    model,
    sequences,
    prefix: null,
    cache: routingCacheFolder(),
    assume,
    lanes,
    signal: interruption.signal,
  });
  for (;;) {
    const next = await count.next();
    if (next.done === true) return suggestFixes({ coverage, candidates: sequences, counts: next.value });
    if (next.value.kind === 'layer-started' && next.value.layer === 0)
      progress.stage('audit pool', next.value.layers, 'layers');
    if (next.value.kind === 'layer-finished') progress.update(next.value.layer + 1);
  }
}
