import { Command, Option } from 'commander';
import { VERSION } from '../version.js';
import { auditCommand } from './commands/audit.js';
import { buildCommand } from './commands/build.js';
import { conformCommand } from './commands/conform.js';
import { evaluateCommand } from './commands/evaluate.js';
import { initCommand } from './commands/init.js';
import { inspectCommand } from './commands/inspect.js';
import { quantizeCommand } from './commands/quantize.js';
import { pushCommand } from './commands/push.js';
import { verifyCommand } from './commands/verify.js';

export function createProgram(): Command {
  const program = new Command('evenkeel')
    .description(
      'Build calibration mixes, audit tokens per language and per expert, quantize mixture-of-experts models.',
    )
    .version(VERSION)
    .addOption(
      new Option('--log-format <format>', 'what progress looks like on stderr')
        .choices(['text', 'json'])
        .default('text'),
    )
    .option('--quiet', 'no progress', false)
    .showHelpAfterError('(evenkeel --help lists the commands)')
    .exitOverride();
  const commands = [
    initCommand(),
    buildCommand(),
    auditCommand(),
    quantizeCommand(),
    evaluateCommand(),
    inspectCommand(),
    conformCommand(),
    verifyCommand(),
    pushCommand(),
  ];
  for (const command of commands) program.addCommand(command.exitOverride());
  return program;
}
