import { InvalidArgumentError, type Command } from 'commander';
import { RUNTIMES, type Runtime } from '../checkpoint/runtime-limits.js';
import { InputError } from '../errors.js';
import { canonicalLanguage } from '../text/language-tag.js';
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

export interface Floors {
  readonly floor: number;
  readonly languages: Readonly<Record<string, number>>;
}

/** `64`, or `64,el=200,fr=100`: routed tokens per cell, then tokens per language. */
export function parseFloors(text: string): Floors {
  const [first = '', ...rest] = text.split(',');
  const languages: Record<string, number> = {};
  for (const part of rest) {
    const [tag = '', value = ''] = part.split('=');
    if (!/^\d+$/.test(value)) throw new InputError(`read --floor '${text}': wanted LANGUAGE=TOKENS, got '${part}'`);
    languages[canonicalLanguage(tag)] = Number(value);
  }
  if (!/^\d+$/.test(first)) throw new InputError(`read --floor '${text}': wanted a whole number first, got '${first}'`);
  return { floor: Number(first), languages };
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
