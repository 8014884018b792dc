import { CommanderError } from 'commander';
import { CheckFailedError, InputError, InterruptedError } from '../errors.js';

/** 0 done; 1 our fault; 2 bad input or usage; 3 an audit or verification failed; 130 interrupted. */
export const EXIT = { ok: 0, fault: 1, input: 2, failed: 3, interrupted: 130 } as const;

/** Set from the environment: a stack trace for people who work on Evenkeel. */
const WANTS_STACK = process.env['EVENKEEL_DEBUG'] !== undefined;

/** Prints what went wrong, once, and ends with the code that says whose fault it was. */
export function exitWith(error: unknown): never {
  if (error instanceof CommanderError) {
    process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.input);
  }
  const { message, code } = describe(error);
  process.stderr.write(`evenkeel: ${message}\n`);
  if (WANTS_STACK && error instanceof Error) process.stderr.write(`${error.stack ?? ''}\n`);
  process.exit(code);
}

function describe(error: unknown): { readonly message: string; readonly code: number } {
  if (interruption.signal.aborted) {
    const message = error instanceof InterruptedError ? error.message : 'interrupted';
    return {
      message: interruption.advice === null ? message : `${message}\n${interruption.advice}`,
      code: EXIT.interrupted,
    };
  }
  if (error instanceof InputError) return { message: error.message, code: EXIT.input };
  if (error instanceof CheckFailedError) return { message: error.message, code: EXIT.failed };
  if (error instanceof InterruptedError) return { message: error.message, code: EXIT.interrupted };
  const text = error instanceof Error ? error.message : String(error);
  return { message: `${text}\nThis is a fault of Evenkeel's; EVENKEEL_DEBUG=1 shows where.`, code: EXIT.fault };
}

/** Ctrl-C: the first asks the running command to stop at its next safe point, the second stops at once. */
export const interruption = {
  controller: new AbortController(),
  /** How to go on, set by a command whose work can be resumed. */
  advice: null as string | null,
  get signal(): AbortSignal {
    return this.controller.signal;
  },
  interrupt(): void {
    if (this.controller.signal.aborted) {
      if (this.advice !== null) process.stderr.write(`\n${this.advice}\n`);
      process.exit(EXIT.interrupted);
    }
    process.stderr.write('\nevenkeel: stopping at the next safe point; press again to stop now\n');
    this.controller.abort();
  },
};
