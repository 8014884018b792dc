/**
 * A pattern of paths as Hub cards write it (`data/train-*`, `**\/*.jsonl`, `{a,b}.parquet`, `part-[0-9]`), as a regular
 * expression over whole paths with slashes.
 */
export function globPattern(glob: string): RegExp {
  let source = '';
  for (let at = 0; at < glob.length; at++) {
    const rest = glob.slice(at);
    const set = /^\[(!?)([^\]/]+)\]/u.exec(rest);
    const choice = /^\{([^{}/]*)\}/u.exec(rest);
    if (rest.startsWith('**/')) {
      source += '(?:[^/]+/)*';
      at += 2;
    } else if (rest.startsWith('**')) {
      source += '.*';
      at += 1;
    } else if (glob[at] === '*') source += '[^/]*';
    else if (glob[at] === '?') source += '[^/]';
    else if (set !== null) {
      source += `[${set[1] === '!' ? '^' : ''}${(set[2] ?? '').replace(/[\\^]/gu, '\\$&')}]`;
      at += set[0].length - 1;
    } else if (choice !== null) {
      source += `(?:${(choice[1] ?? '').split(',').map(escape).join('|')})`;
      at += choice[0].length - 1;
    } else source += escape(glob[at] ?? '');
  }
  return new RegExp(`^${source}$`, 'su');
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/gu, '\\$&');
}
