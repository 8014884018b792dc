import { Command } from 'commander';
import type { Finding } from '../../checkpoint/verify/finding.js';
import { CheckFailedError } from '../../errors.js';
import { modelFolder } from '../../pipeline/model-folder.js';
import { verifyOutput } from '../../pipeline/quantize.js';
import { print, printJson, progressOf } from '../options.js';
import type { Progress } from '../progress.js';

export function verifyCommand(): Command {
  return new Command('verify')
    .description('Re-read a quantized checkpoint and check every invariant that its format and the runtimes rely on.')
    .argument('<checkpoint>', 'the quantized checkpoint')
    .requiredOption('--model <dir>', 'the model it was made from')
    .option('--assume <family>', 'use this model family whatever config.json says')
    .option('--json', 'one JSON document on stdout', false)
    .addHelpText('after', '\nExample:\n  evenkeel verify out/polyglot-moe-w4a16 --model test/models/polyglot-moe-18m')
    .action(async (output: string, options: { model: string; assume?: string; json: boolean }, command: Command) => {
      const progress = progressOf(command);
      const model = await modelFolder({ kind: 'folder', path: options.model });
      const findings = await verifyWithProgress(verifyOutput(output, model, null, options.assume), progress);
      progress.end();
      if (options.json) printJson({ checkpoint: output, sound: findings.length === 0, findings });
      else if (findings.length === 0) print(`${output} is sound`);
      else print(findings.map(({ check, subject, message }) => `${check}: ${subject} ${message}`).join('\n'));
      if (findings.length > 0) throw new CheckFailedError(`${findings.length} findings in '${output}'`);
    });
}

export async function verifyWithProgress(
  verification: AsyncGenerator<string, readonly Finding[]>,
  progress: Progress,
): Promise<readonly Finding[]> {
  progress.stage('verify checkpoint');
  for (;;) {
    const next = await verification.next();
    if (next.done === true) return next.value;
    progress.update(0, next.value);
  }
}
