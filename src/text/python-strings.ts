/** What Python's `str.strip` takes for white space: unlike JavaScript's trim, the separators 1C–1F and 85, but not FEFF. */
const WHITE_SPACE = String.raw`\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000`;

/** `str.strip`, `lstrip` and `rstrip`: takes any of `characters` off the ends, white space when there are none given. */
export function strip(text: string, characters: string | null, ends: 'both' | 'left' | 'right'): string {
  const set =
    characters === null
      ? `[${WHITE_SPACE}]`
      : `[${Array.from(characters, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`).join('')}]`;
  if (characters === '') return text;
  let result = text;
  if (ends !== 'right') result = result.replace(new RegExp(`^${set}+`, 'u'), '');
  if (ends !== 'left') result = stripEnd(result, new RegExp(`^${set}$`, 'u'));
  return result;
}

/** `str.capitalize`: the rest of the word becomes lower case too. */
export function capitalize(text: string): string {
  const [first = ''] = text;
  return first.toUpperCase() + text.slice(first.length).toLowerCase();
}

/** By hand: a pattern anchored at the end would try every run of white space of a long text. */
function stripEnd(text: string, one: RegExp): string {
  let end = text.length;
  while (end > 0) {
    const low = text.charCodeAt(end - 1);
    const width = low >= 0xdc00 && low <= 0xdfff && end > 1 ? 2 : 1;
    if (!one.test(text.slice(end - width, end))) break;
    end -= width;
  }
  return text.slice(0, end);
}
