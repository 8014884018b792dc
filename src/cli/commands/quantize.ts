import { Command } from 'commander';
import { startLaneThreads } from '../../engine/lanes.js';
import { collect, collectRuntime, memoryBudget, progressOf, wholeNumber } from '../options.js';
import type { QuantizeCommandOptions } from '../quantize-recipe.js';

export function quantizeCommand(): Command {
  return new Command('quantize')
    .description(
      'Build the mix, audit it, quantize the model with it, verify the checkpoint and measure what was lost.',
    )
    .argument('<recipe>', 'recipe file')
    .option('--set <key=value>', 'put a value over the recipe; repeatable', collect, [])
    .option('--resume', 'go on where an interrupted run stopped', false)
    .option('--replace', 'write over a checkpoint that is there already', false)
    .option('--strict', 'exit with 3 when the mix leaves something under its floor', false)
    .option('--assume <family>', 'use this model family whatever config.json says')
    .option('--lanes <n>', 'worker threads', wholeNumber(1))
    .option('--memory <gib>', 'stay within this much memory; hidden states that do not fit go to disk', memoryBudget)
    .option('--dry-run', 'only say what would be quantized and what time, memory and disk it would take here', false)
    .option(
      '--target <runtime>',
      "vllm, sglang or transformers must load the checkpoint; repeatable, in place of the recipe's",
      collectRuntime,
      [],
    )
    .option('--json', 'one JSON document on stdout', false)
    .addHelpText(
      'after',
      '\nExamples:\n  evenkeel quantize recipes/demo.yaml\n  evenkeel quantize recipes/demo.yaml --set quantize.scheme=W4A16_ASYM --set output=../out/asym',
    )
    .action(async (file: string, options: QuantizeCommandOptions, command: Command) => {
      const progress = progressOf(command);
      // Started before anything else, so that they load onnxruntime while this thread loads the rest and builds the mix.
      const threads = options.dryRun ? null : startLaneThreads(options.lanes);
      try {
        const { quantizeRecipe } = await import('../quantize-recipe.js');
        await quantizeRecipe(file, options, threads, progress);
      } finally {
        await threads?.close();
      }
    });
}
