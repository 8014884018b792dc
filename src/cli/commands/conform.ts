import { Command } from 'commander';
import { conform, type ConformanceResult } from '../../engine/conform.js';
import { CheckFailedError } from '../../errors.js';
import { print, printJson, progressOf, wholeNumber } from '../options.js';

export function conformCommand(): Command {
  return new Command('conform')
    .description(
      "Compare Evenkeel's own forward pass with a reference that transformers computed from the same weights.",
    )
    .argument('<dir...>', 'folders with config.json, safetensors and reference.safetensors')
    .option('--assume <family>', 'use this family whatever config.json says')
    .option('--lanes <n>', 'worker threads', wholeNumber(1))
    .option('--json', 'one JSON document on stdout', false)
    .addHelpText('after', '\nExample:\n  evenkeel conform test/conformance/qwen3_moe test/conformance/llama')
    .action(
      async (directories: string[], options: { assume?: string; lanes?: number; json: boolean }, command: Command) => {
        const progress = progressOf(command);
        const results: ConformanceResult[] = [];
        progress.stage('conform', directories.length, 'folders');
        for (const [i, directory] of directories.entries()) {
          results.push(await conform(directory, { assume: options.assume, lanes: options.lanes }));
          progress.update(i + 1);
        }
        progress.end();
        if (options.json) printJson(results);
        else for (const result of results) print(describe(result));
        const failed = results.filter(({ pass }) => !pass).length;
        if (failed > 0)
          throw new CheckFailedError(`${failed} of ${results.length} folders differ from their reference`);
      },
    );
}

function describe({ directory, family, tensors, logits, router, pass }: ConformanceResult): string {
  const lines = [`${pass ? 'pass' : 'FAIL'}  ${directory} (${family})`];
  for (const { name, error } of tensors) lines.push(`      ${name.padEnd(18)} largest error ${error.toExponential(1)}`);
  lines.push(
    `      ${'logits'.padEnd(18)} largest error ${logits.error.toExponential(1)}, allowed ${logits.tolerance.toExponential(1)}`,
  );
  if (router.tokens > 0) {
    const same = router.tokens - router.different - router.excused;
    lines.push(
      `      ${'router'.padEnd(18)} ${same} of ${router.tokens} choices the same, ${router.excused} within a tie, ${router.different} different`,
    );
  }
  return lines.join('\n');
}
