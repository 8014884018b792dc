/** Where in a file a problem stands; line and column count from 1. */
export interface Location {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
}

/** `file:line:column`, as editors and terminals link it. */
export function formatLocation({ file, line, column }: Location): string {
  return [file, line, line === undefined ? undefined : column].filter((part) => part !== undefined).join(':');
}

/**
 * Bad input or usage: the user can mend it, so the command line prints the message without a stack trace and exits
 * with 2. The message names the action, the quoted subject, and wanted against got.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly location: Location | undefined;

  constructor(message: string, options: { location?: Location; cause?: unknown } = {}) {
    const prefix = options.location === undefined ? '' : `${formatLocation(options.location)}: `;
    super(prefix + message, options.cause === undefined ? undefined : { cause: options.cause });
    this.location = options.location;
  }
}

/** An audit or a verification came out negative: exit code 3. */
export class CheckFailedError extends Error {
  override readonly name = 'CheckFailedError';
}

/** The user interrupted the run; what is finished is kept: exit code 130. */
export class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}
