/** A token that is found in a text before anything else is done to it. */
export interface AddedToken {
  readonly content: string;
  readonly id: number;
  /** Whether white space before it, after it, is taken with it. */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** Calls back with every part of a text in turn: the tokens in it with their ids, and what lies between them without. */
export type AddedTokenSplitter = (text: string, part: (text: string, id: number | null) => void) => void;

/** Parts a text at the given tokens; of two that begin in one place the longer one counts. */
export function createAddedTokenSplitter(tokens: readonly AddedToken[]): AddedTokenSplitter {
  const byContent = new Map(tokens.filter(({ content }) => content !== '').map((token) => [token.content, token]));
  const contents = [...byContent.keys()].sort((a, b) => b.length - a.length);
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
    let before: AddedToken | undefined;
    const between = (to: number, after: AddedToken | undefined) => {
      let piece = from === 0 && to === text.length ? text : text.slice(from, to);
      if (after?.lstrip === true) piece = piece.trimEnd();
      if (before?.rstrip === true) piece = piece.trimStart();
      if (piece !== '') part(piece, null);
    };
    pattern.lastIndex = 0;
    for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
      const end = pattern.lastIndex;
      const token = byContent.get(match[0]);
      between(match.index, token);
      part(match[0], token?.id ?? null);
      from = end;
      before = token;
      pattern.lastIndex = end;
    }
    between(text.length, undefined);
  };
}
