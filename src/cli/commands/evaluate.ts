import { Command } from 'commander';
import { evaluateModels } from '../../engine/evaluate.js';
import type { Evaluation } from '../../evaluate/summary.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { interruption } from '../exit.js';
import { print, printJson, progressOf, wholeNumber } from '../options.js';
import { evaluationTable } from '../evaluation-table.js';
import { readSequences } from '../samples.js';
import { writeReport } from '../written.js';

export function evaluateCommand(): Command {
  return new Command('evaluate')
    .description('Compare a quantized model with its original on held-out text: perplexity, KL and top-1 per language.')
    .requiredOption('--model <dir>', 'the original model')
    .requiredOption('--quantized <dir>', 'the quantized checkpoint')
    .requiredOption('--data <path>', 'mix folder, JSONL of input_ids, or any file of samples')
    .option('--sequence-length <n>', 'window length for files of samples', wholeNumber(2), 2048)
    .option('--output <file>', 'write evaluation.json there')
    .option('--lanes <n>', 'worker threads', wholeNumber(1))
    .option('--json', 'evaluation.json on stdout', false)
    .addHelpText(
      'after',
      '\nExample:\n  evenkeel evaluate --model test/models/polyglot-moe-18m --quantized out/polyglot-moe-w4a16 --data builtin:languages --sequence-length 512',
    )
    .action(
      async (
        options: {
          model: string;
          quantized: string;
          data: string;
          sequenceLength: number;
          output?: string;
          lanes?: number;
          json: boolean;
        },
        command: Command,
      ) => {
        const progress = progressOf(command);
        const model = await modelFolder({ kind: 'folder', path: options.model });
        const directory = await modelFolder({ kind: 'folder', path: options.quantized });
        progress.stage('read samples');
        const { sequences } = await readSequences(options.data, model, options.sequenceLength);
        let evaluation: Evaluation | null = null;
        const contenders = [{ kind: 'folder', name: 'quantized', directory } as const];
        for await (const event of evaluateModels({
          model,
          contenders,
          sequences,
          lanes: options.lanes,
          signal: interruption.signal,
        })) {
          if (event.kind === 'compared') evaluation = event.evaluation;
          else {
            if (event.layer === 0) progress.stage(`run ${event.model}`, event.layers, 'layers');
            progress.update(event.layer + 1);
          }
        }
        progress.end();
        if (options.output !== undefined) await writeReport(options.output, `${JSON.stringify(evaluation, null, 1)}\n`);
        if (options.json) printJson(evaluation);
        else print(evaluationTable(evaluation!, null));
      },
    );
}
