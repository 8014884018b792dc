/** Calls back with every part of a text in turn: the tokens in it with their ids, and what lies between them without. */
export type AddedTokenSplitter = (text: string, part: (text: string, id: number | null) => void) => void;

/** Parts a text at the given tokens; of two that begin in one place the longer one counts. */
export function createAddedTokenSplitter(tokens: ReadonlyMap<string, number>): AddedTokenSplitter {
  const contents = [...tokens.keys()].filter((content) => content !== '').sort((a, b) => b.length - a.length);
  if (contents.length === 0) {
    return (text, part) => {
      if (text !== '') part(text, null);
    };
  }
  const escaped = contents.map((content) => content.replaceAll(/[\\^$.*+?()[\]{}|]/gu, String.raw`\$&`));
  // Without the u flag, by units, as the library walks.
  const pattern = new RegExp(escaped.join('|'), 'g');
  return (text, part) => {
    let from = 0;
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const end = pattern.lastIndex;
      if (match.index > from) part(text.slice(from, match.index), null);
      part(match[0], tokens.get(match[0]) ?? null);
      from = end;
      pattern.lastIndex = end;
    }
    if (from < text.length) part(from === 0 ? text : text.slice(from), null);
  };
}
