import { isRecord } from '../row.js';

/** What a Terminus-2 agent answers in a turn. */
export interface TerminusResponse {
  readonly analysis: string;
  readonly plan: string;
  readonly commands: readonly TerminusCommand[];
  readonly taskComplete: boolean;
}

export interface TerminusCommand {
  /** Verbatim: spaces, line ends and characters like `<` and `&` are what is typed. */
  readonly keystrokes: string;
  /** Seconds. */
  readonly duration: number;
}

/** Seconds waited after a command that names none. */
const DEFAULT_DURATION = 1;

/**
 * Reads an answer in either of Terminus-2's forms; null when it is in neither. The XML form is not XML (keystrokes stand
 * unescaped), so it is read by its tags alone, outermost first.
 */
export function parseTerminusResponse(content: string): TerminusResponse | null {
  return parseTags(content) ?? parseJson(content);
}

function parseTags(content: string): TerminusResponse | null {
  const body = between(content, 'response');
  if (body === null) return null;
  const commands = between(body, 'commands');
  // Text beside the commands, so that a tag typed into the terminal is not taken for one of the answer's.
  const rest = commands === null ? body : body.replace(commands, '');
  if (commands === null && between(rest, 'analysis') === null) return null;
  return {
    analysis: between(rest, 'analysis')?.trim() ?? '',
    plan: between(rest, 'plan')?.trim() ?? '',
    commands: keystrokesOf(commands ?? ''),
    taskComplete: between(rest, 'task_complete')?.trim().toLowerCase() === 'true',
  };
}

/** Text from the first opening tag to the last closing one. */
function between(text: string, tag: string): string | null {
  const open = text.indexOf(`<${tag}>`);
  const close = text.lastIndexOf(`</${tag}>`);
  if (open < 0) return null;
  const start = open + tag.length + 2;
  return close < start ? null : text.slice(start, close);
}

function keystrokesOf(commands: string): TerminusCommand[] {
  const pattern = /<keystrokes(?:\s+duration=["']([^"']*)["'])?\s*>([\s\S]*?)<\/keystrokes>/gu;
  return [...commands.matchAll(pattern)].map(([, duration, keystrokes = '']) => ({
    keystrokes,
    duration: seconds(duration),
  }));
}

function parseJson(content: string): TerminusResponse | null {
  const start = content.indexOf('{');
  const end = content.lastIndexOf('}');
  if (start < 0 || end < start || !content.includes('"commands"')) return null;
  let value: unknown;
  try {
    value = JSON.parse(content.slice(start, end + 1));
  } catch {
    return null;
  }
  if (!isRecord(value) || !Array.isArray(value['commands']) || !('analysis' in value || 'plan' in value)) return null;
  const commands = value['commands']
    .filter(isRecord)
    .flatMap(({ keystrokes, duration }) =>
      typeof keystrokes === 'string' ? [{ keystrokes, duration: seconds(duration) }] : [],
    );
  const { analysis, plan, task_complete: complete } = value;
  return {
    analysis: typeof analysis === 'string' ? analysis : '',
    plan: typeof plan === 'string' ? plan : '',
    commands,
    taskComplete: complete === true || complete === 'true',
  };
}

function seconds(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof number === 'number' && Number.isFinite(number) && number >= 0 ? number : DEFAULT_DURATION;
}
