import { Command, Help, type Argument, Option, type HelpConfiguration } from 'commander';
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

const plain = new Help();

/** A switch that is off and a list that is empty need no default in print; nor does every command need `[options]`. */
const HELP: HelpConfiguration = {
  optionDescription: (option) => plain.optionDescription(option).replace(/ \(default: (?:false|\[\])\)$/u, ''),
  subcommandTerm: (command) =>
    [command.name(), ...command.registeredArguments.map((argument) => humanArgument(argument))].join(' '),
};

function humanArgument(argument: Argument): string {
  const name = argument.variadic ? `${argument.name()}...` : argument.name();
  return argument.required ? `<${name}>` : `[${name}]`;
}

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
    .configureHelp(HELP)
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
  for (const command of commands) program.addCommand(command.configureHelp(HELP).exitOverride());
  return program;
}
