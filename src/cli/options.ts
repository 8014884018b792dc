import { InvalidArgumentError, type Command } from 'commander';
import { RUNTIMES, type Runtime } from '../checkpoint/runtime-limits.js';
import { floorName, type Floors } from '../coverage/floors.js';
import { InputError } from '../errors.js';
import { createProgress, type Progress } from './progress.js';

/** The progress that the program's global options ask for. */
export function progressOf(command: Command): Progress {
  const { quiet, logFormat } = command.optsWithGlobals<{ quiet: boolean; logFormat: 'text' | 'json' }>();
  return createProgress({ quiet, logFormat });
}

/** A whole number of at least `least`. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least)
      throw new InvalidArgumentError(`wanted a whole number of at least ${least}`);
    return value;
  };
}

/** A number of GiB above zero, in bytes. */
export function memoryBudget(text: string): number {
  const value = Number(text);
  if (!(value > 0) || value === Infinity) throw new InvalidArgumentError('wanted a number of GiB above zero');
  return Math.floor(value * 2 ** 30);
}

export interface AskedFloors {
  /** Routed tokens per cell. */
  readonly floor: number;
  /** Of languages, channels and lengths. */
  readonly floors: Floors;
}

/** `64`, or `64,el=200,reasoning=500,length=128`: routed tokens per cell, then floors by name; see `Floors`. */
export function parseFloors(text: string): AskedFloors {
  const [first = '', ...rest] = text.split(',').map((part) => part.trim());
  if (!/^\d+$/.test(first)) throw new InputError(`read --floor '${text}': wanted a whole number first, got '${first}'`);
  const floors = rest.map((part): [string, number] => {
    const [name = '', value = ''] = part.split('=');
    if (!/^\d+$/.test(value)) throw new InputError(`read --floor '${text}': wanted NAME=TOKENS, got '${part}'`);
    return [floorName(name), Number(value)];
  });
  return { floor: Number(first), floors: Object.fromEntries(floors) };
}

/** Collects a repeatable option. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value];
}

/** Collects `--target`: software that must load the checkpoint. */
export function collectRuntime(value: string, before: readonly Runtime[]): readonly Runtime[] {
  const runtime = RUNTIMES.find((name) => name === value);
  if (runtime === undefined) throw new InvalidArgumentError(`wanted ${RUNTIMES.join(', ')}`);
  return [...before, runtime];
}

/** Width and colour of the terminal that stdout is. */
export function terminalStyle(): { readonly width: number; readonly color: boolean } {
  const color = process.stdout.isTTY && process.env['NO_COLOR'] === undefined;
  return { width: Math.min(140, process.stdout.columns ?? 100), color };
}

export function print(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

export function printJson(value: unknown): void {
  print(JSON.stringify(value, null, 2));
}
