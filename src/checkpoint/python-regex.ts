import { InputError } from '../errors.js';

/** Escapes of letters that mean the same to Python's `re` and to JavaScript without the `u` flag. */
const SHARED_ESCAPES = 'bBdDsSwWfnrtvxu';
/** Spelled otherwise in JavaScript: start and end of the text, and the bell. */
const OTHER_ESCAPES: Readonly<Record<string, string>> = { A: '^', Z: '(?![^])', a: '\\x07' };
/** Compiled patterns; lists of targets and ignored modules are held against every module of a model. */
const compiled = new Map<string, RegExp>();

/**
 * A pattern as Python's `re.match` takes it: anchored at the start, not at the end. llm-compressor, compressed-tensors and
 * the runtimes read ignore lists and targets so; what JavaScript would read otherwise is translated, and what it cannot
 * read is refused instead of matching something else.
 *
 * @param pattern without the leading `re:`
 * @throws InputError for a pattern that Python refuses, or that has no counterpart here
 */
export function pythonMatch(pattern: string): RegExp {
  const known = compiled.get(pattern);
  if (known !== undefined) return known;
  try {
    const { flags, body } = leadingFlags(pattern);
    const regex = new RegExp(`^(?:${translated(body)})`, flags);
    compiled.set(pattern, regex);
    return regex;
  } catch (error) {
    throw new InputError(`read pattern 're:${pattern}': ${reasonOf(error)}`, { cause: error });
  }
}

/** Why an entry of an ignore or target list cannot be read; null when it can. */
export function patternProblem(entry: string): string | null {
  if (!entry.startsWith('re:')) return null;
  try {
    pythonMatch(entry.slice(3));
    return null;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return reasonOf(error.cause);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof SyntaxError)) throw error;
  return error.message.replace(/^Invalid regular expression: (\/.*\/\w*: )?/s, '');
}

/** `(?i)` and the like before everything else, which is the only place where Python takes them. */
function leadingFlags(pattern: string): { readonly flags: string; readonly body: string } {
  const match = /^\(\?([aiLmsux]+)\)/.exec(pattern);
  if (match === null) return { flags: '', body: pattern };
  const [all, letters = ''] = match;
  const foreign = /[^aisu]/.exec(letters)?.[0];
  if (foreign !== undefined) throw new SyntaxError(`the flag '${foreign}' isn't supported`);
  const flags = ['i', 's'].filter((letter) => letters.includes(letter)).join('');
  return { flags, body: pattern.slice(all.length) };
}

function translated(pattern: string): string {
  let result = '';
  for (let at = 0; at < pattern.length;) {
    const rest = pattern.slice(at);
    const [read, written] = rest.startsWith('[') ? characterClass(rest) : element(rest);
    result += written;
    at += read;
  }
  return result;
}

type Translated = readonly [read: number, written: string];

/** One element outside of character classes. */
function element(rest: string): Translated {
  if (rest.startsWith('\\')) return escaped(rest, false);
  const named = /^\(\?P<(\w+)>/.exec(rest);
  if (named !== null) return [named[0].length, `(?<${named[1]}>`];
  const back = /^\(\?P=(\w+)\)/.exec(rest);
  if (back !== null) return [back[0].length, `\\k<${back[1]}>`];
  const comment = /^\(\?#[^)]*\)/.exec(rest);
  if (comment !== null) return [comment[0].length, ''];
  const upTo = /^\{,(\d+)\}/.exec(rest);
  if (upTo !== null) return [upTo[0].length, `{0,${upTo[1]}}`];
  return [1, rest[0]!];
}

/** A class whole: `]` right after its beginning is a member in Python, and ends an empty class in JavaScript. */
function characterClass(rest: string): Translated {
  let at = rest.startsWith('[^') ? 2 : 1;
  let written = rest.slice(0, at);
  if (rest[at] === ']') {
    written += '\\]';
    at++;
  }
  while (at < rest.length && rest[at] !== ']') {
    const [read, part] = rest[at] === '\\' ? escaped(rest.slice(at), true) : ([1, rest[at]!] as const);
    written += part;
    at += read;
  }
  if (at >= rest.length) throw new SyntaxError("a '[' is not closed");
  return [at + 1, `${written}]`];
}

function escaped(rest: string, inClass: boolean): Translated {
  const letter = rest[1];
  if (letter === undefined) throw new SyntaxError('it ends in a backslash');
  const other = OTHER_ESCAPES[letter];
  if (other !== undefined && (!inClass || letter === 'a')) return [2, other];
  const isLetter = /[A-Za-z]/.test(letter);
  if (isLetter && (!SHARED_ESCAPES.includes(letter) || (inClass && letter === 'B'))) {
    throw new SyntaxError(`the escape '\\${letter}' isn't supported`);
  }
  return [2, rest.slice(0, 2)];
}
