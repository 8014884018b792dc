import { matchesPattern } from '../checkpoint/module-patterns.js';
import { patternProblem } from '../checkpoint/python-regex.js';
import { InputError } from '../errors.js';
import type { KeyPath, YamlDocument } from './yaml-document.js';

type Note = (path: KeyPath, message: string) => void;

/** A Python class name; module paths have dots, and their parts begin with small letters. */
const CLASS_NAME = /^[A-Z]\w*$/;

/**
 * An ignore list without the class names in it. Only Linears are quantized, and those with a class of their own (routers)
 * always stay.
 */
export function ignoredModules(ignore: readonly string[], document: YamlDocument, at: KeyPath, note: Note): string[] {
  return ignore.filter((entry, index) => {
    if (!CLASS_NAME.test(entry)) return true;
    if (entry === 'Linear')
      throw new InputError('Cannot ignore "Linear": nothing would be quantized', {
        location: document.locate([...at, index]),
      });
    note([...at, index], `ignoring class "${entry}" has no bearing here: only plain Linears are quantized`);
    return false;
  });
}

/** What targets leave out, as a pattern to ignore: everything that none of them matches. */
export function untargeted(
  targets: readonly string[],
  ignore: readonly string[],
  document: YamlDocument,
  at: KeyPath,
  note: Note,
): string[] {
  const refused = targets.find((target) => target === 'lm_head' || (target !== 'Linear' && CLASS_NAME.test(target)));
  if (refused !== undefined) {
    throw new InputError(
      `Cannot honour target "${refused}": ` +
        (refused === 'lm_head' ? 'it always stays as it is' : 'wanted Linear, a module path, or re: and a pattern'),
      { location: document.locate(at, 'key') },
    );
  }
  const matched = (entries: readonly string[]): boolean => entries.some((entry) => matchesPattern(entry, 'lm_head'));
  if ((targets.includes('Linear') || matched(targets)) && !matched(ignore))
    note(at, 'lm_head stays as it is: most runtimes want it unpacked');
  if (targets.includes('Linear')) return [];
  const patterns = targets.map((target) => (target.startsWith('re:') ? target.slice(3) : `${escaped(target)}$`));
  const others = `re:(?!(?:${patterns.join('|')}))`;
  const problem = patternProblem(others);
  if (problem !== null)
    throw new InputError(`Cannot honour the targets together: ${problem}`, { location: document.locate(at, 'key') });
  return [others];
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/gu, String.raw`\$&`);
}
