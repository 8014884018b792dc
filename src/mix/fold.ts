/** What a UTF-16 unit becomes: itself in lower case, or one of these. */
const SEPARATOR = 0;
const SURROGATE = 0xffff;
const UNSEEN = 0xfffe;
const SPACE = 0x20;
const table = new Uint16Array(0x1_0000).fill(UNSEEN);

function lookUp(unit: number): number {
  const character = String.fromCharCode(unit);
  const found = /\p{Cs}/u.test(character)
    ? SURROGATE
    : /[\p{L}\p{M}\p{N}]/u.test(character)
      ? // Greek writes a final sigma otherwise in lower case only.
        character.toLowerCase().replace('ς', 'σ').charCodeAt(0)
      : SEPARATOR;
  table[unit] = found;
  return found;
}

let units = new Uint16Array(1 << 16);

/**
 * What is compared of a text: NFKC, lower case, everything but letters, marks and digits as one space, none at the ends.
 * The units are lent until the next call.
 */
export function fold(text: string): { readonly units: Uint16Array; readonly length: number } {
  const normal = text.normalize('NFKC');
  if (normal.length > units.length) units = new Uint16Array(2 * normal.length);
  let length = 0;
  let gap = false;
  const put = (unit: number) => {
    if (gap && length > 0) units[length++] = SPACE;
    gap = false;
    units[length++] = unit;
  };
  for (let at = 0; at < normal.length; at++) {
    const unit = normal.charCodeAt(at);
    let folded = table[unit] ?? SEPARATOR;
    if (folded === UNSEEN) folded = lookUp(unit);
    if (folded === SEPARATOR) gap = true;
    else if (folded !== SURROGATE) put(folded);
    else if (/^[\p{L}\p{M}\p{N}]$/u.test(String.fromCodePoint(normal.codePointAt(at) ?? 0))) {
      put(unit);
      put(normal.charCodeAt(++at));
    } else gap = true;
  }
  return { units, length };
}

/** {@link fold} as text. */
export function normalizeForComparison(text: string): string {
  const { units: folded, length } = fold(text);
  return Buffer.from(folded.buffer, 0, 2 * length).toString('utf16le');
}
