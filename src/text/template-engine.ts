import { Environment, Interpreter, Template } from '@huggingface/jinja';
import { InputError } from '../errors.js';
import { PYTHON_STRINGS, rewriteStringMethods } from './template-rewrite.js';

/** Longest time for one rendering. The longest dialogues take some hundredths of a second; a loop in a loop, for ever. */
const RENDER_MILLISECONDS = 1000;
/** Between two looks at the clock, besides those at every loop. */
const STEPS_PER_LOOK = 1024;

/** What the engine's interpreter is, as far as its clock needs. */
interface Running {
  evaluate(statement: { readonly type: string } | undefined, environment: unknown): unknown;
  run(program: unknown): { readonly value: unknown };
}

/** Runs a program, and gives up on one that would run for ever. */
function runBounded(interpreter: Running, program: unknown): unknown {
  const end = performance.now() + RENDER_MILLISECONDS;
  const evaluate = interpreter.evaluate.bind(interpreter);
  let steps = 0;
  // Every statement and expression comes by here, those of a loop's body too.
  interpreter.evaluate = (statement, environment) => {
    if ((statement?.type === 'For' || ++steps % STEPS_PER_LOOK === 0) && performance.now() > end)
      throw new Error(`rendering takes longer than ${RENDER_MILLISECONDS / 1000} s`);
    return evaluate(statement, environment);
  };
  return interpreter.run(program).value;
}

/** A parsed template that renders with the globals transformers gives its chat templates. */
export type TemplateProgram = (variables: Readonly<Record<string, unknown>>, date: string) => string;

/**
 * Parses a chat template.
 *
 * @param name what errors call it
 * @throws InputError when it is not valid Jinja, or uses what the engine lacks
 */
export function compileTemplate(source: string, name: string): TemplateProgram {
  let parsed: Template['parsed'];
  try {
    parsed = new Template(withoutGenerationTags(source)).parsed;
    rewriteStringMethods(parsed);
  } catch (error) {
    throw new InputError(`Cannot parse the chat template "${name}": ${messageOf(error)}`, { cause: error });
  }
  return (variables, date) => {
    const environment = new Environment(globalsOf(date));
    for (const [key, value] of Object.entries(variables)) environment.set(key, value);
    const result = runBounded(new Interpreter(environment), parsed);
    if (typeof result !== 'string') throw new TypeError('the template gave no text');
    return result;
  };
}

/** transformers' tags around what the assistant says, for loss masks: conditions that always hold, as they print nothing. */
function withoutGenerationTags(source: string): string {
  return source
    .replaceAll(/(\{%[-+]?\s*)generation(\s*[-+]?%\})/gu, '$1if true$2')
    .replaceAll(/(\{%[-+]?\s*)endgeneration(\s*[-+]?%\})/gu, '$1endif$2');
}

let shared: { readonly date: string; readonly environment: Environment } | null = null;

/** The globals, made once: a row is rendered twice, and short ones take less time than making them. Templates set names below. */
function globalsOf(date: string): Environment {
  if (shared?.date === date) return shared.environment;
  const environment = new Environment();
  for (const [key, value] of Object.entries(globals(date))) environment.set(key, value);
  shared = { date, environment };
  return environment;
}

/**
 * The engine's own `strftime_now` reads the clock and the machine's locale. A mix must come out the same tomorrow and
 * elsewhere, so the day is an argument and month names are English, as Python's are.
 */
function globals(date: string): Record<string, unknown> {
  return {
    ...PYTHON_STRINGS,
    true: true,
    false: false,
    none: null,
    True: true,
    False: false,
    None: null,
    raise_exception: (message: unknown) => {
      throw new Error(String(message));
    },
    range: (start: number, stop?: number | null, step?: number | null) => range(start, stop ?? null, step ?? 1),
    strftime_now: (format: string) => formatDate(new Date(`${date}T00:00:00Z`), format),
  };
}

/** Templates count messages and tools; one that counts further would fill the memory. As many as in Jinja's own sandbox. */
const MOST_NUMBERS = 100_000;

function range(start: number, stop: number | null, step: number): number[] {
  const [from, to] = stop === null ? [0, start] : [start, stop];
  if (step === 0) throw new Error('range() step must not be zero');
  const length = Math.max(0, Math.ceil((to - from) / step));
  if (!(length <= MOST_NUMBERS)) throw new Error(`range() of ${length} numbers; at most ${MOST_NUMBERS} are given`);
  return Array.from({ length }, (_, index) => from + index * step);
}

/** Python's strftime for the directives that chat templates use, in UTC. */
export function formatDate(date: Date, format: string): string {
  const english = (options: Intl.DateTimeFormatOptions) =>
    new Intl.DateTimeFormat('en-US', { ...options, timeZone: 'UTC' }).format(date);
  const directives: Record<string, () => string> = {
    Y: () => String(date.getUTCFullYear()),
    y: () => two(date.getUTCFullYear() % 100),
    m: () => two(date.getUTCMonth() + 1),
    d: () => two(date.getUTCDate()),
    H: () => two(date.getUTCHours()),
    M: () => two(date.getUTCMinutes()),
    S: () => two(date.getUTCSeconds()),
    b: () => english({ month: 'short' }),
    B: () => english({ month: 'long' }),
    a: () => english({ weekday: 'short' }),
    A: () => english({ weekday: 'long' }),
    '%': () => '%',
  };
  return format.replace(/%(.)/gu, (whole, letter: string) => directives[letter]?.() ?? whole);
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
