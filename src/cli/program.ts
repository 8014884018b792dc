import { Command, Help, type Argument, Option, type HelpConfiguration } from 'commander';
import { VERSION } from '../version.js';

/** A command loads what it needs when it is asked for: loading all of them takes half a second. */
const COMMANDS: ReadonlyMap<string, () => Promise<Command>> = new Map([
  ['init', async () => (await import('./commands/init.js')).initCommand()],
  ['build', async () => (await import('./commands/build.js')).buildCommand()],
  ['audit', async () => (await import('./commands/audit.js')).auditCommand()],
  ['quantize', async () => (await import('./commands/quantize.js')).quantizeCommand()],
  ['evaluate', async () => (await import('./commands/evaluate.js')).evaluateCommand()],
  ['inspect', async () => (await import('./commands/inspect.js')).inspectCommand()],
  ['conform', async () => (await import('./commands/conform.js')).conformCommand()],
  ['verify', async () => (await import('./commands/verify.js')).verifyCommand()],
  ['push', async () => (await import('./commands/push.js')).pushCommand()],
]);

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

/** @param words the command line; where it names no command first, as for help, all commands are there */
export async function createProgram(words: readonly string[]): Promise<Command> {
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
  const named = COMMANDS.get(words.find((word) => !word.startsWith('-')) ?? '');
  const commands = await Promise.all((named === undefined ? [...COMMANDS.values()] : [named]).map((load) => load()));
  for (const command of commands) program.addCommand(command.configureHelp(HELP).exitOverride());
  return program;
}
