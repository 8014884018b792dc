/**
 * What is not prose and runs over several words, most greedy first: fenced code, scripts and tool calls with what they
 * hold, inline code, formulas, tags, special tokens, placeholders. Every repetition is bounded or ends at a fixed text, so
 * that hostile input takes time in proportion to its length. A text without the `sign` holds none.
 */
const NOT_PROSE: readonly { readonly sign: string; readonly pattern: RegExp }[] = [
  { sign: '```', pattern: /```[\s\S]*?(?:```|$)/gu },
  { sign: '~~~', pattern: /~~~[\s\S]*?(?:~~~|$)/gu },
  {
    sign: '<',
    pattern:
      /<(script|style|keystrokes|execute_bash|tool_call|tool_response|function_calls)\b[^>]{0,200}>[\s\S]*?(?:<\/\1>|$)/giu,
  },
  { sign: '`', pattern: /`[^`\n]{1,500}`/gu },
  { sign: '$$', pattern: /\$\$[\s\S]{0,2000}?\$\$/gu },
  { sign: '<', pattern: /<\/?[a-z_][^<>\n]{0,200}>/giu },
  { sign: '<|', pattern: /<\|[^|\n]{1,40}\|>/gu },
  { sign: '{', pattern: /\$?\{\{?[^{}\n]{0,200}\}?\}/gu },
];

/** What makes a word no word: a URL, an address, a path, an identifier, the name of a file. */
const TECHNICAL: readonly RegExp[] = [
  /:\/\//u,
  /@[\w-]{1,64}\.\w/u,
  /^[("'[]{0,2}(?:~|\.{1,2})?[/\\][\w.-]/u,
  /\w_\w/u,
  /[a-z][A-Z]/u,
  /\w\.(?:py|js|ts|json|ya?ml|md|txt|sh|rs|go|java|cpp|html|css|toml|csv)\b/iu,
];

/** What the loop below needs to know of a UTF-16 unit. */
const UNSEEN = 255;
const OTHER = 0;
const KEPT = 1;
const SPACE = 2;
/** A sign without which a word is not technical. */
const SUSPICIOUS = 3;
const SURROGATE = 4;
const LOWER = 5;
const UPPER = 6;
const table = new Uint8Array(0x1_0000).fill(UNSEEN);

function classOf(unit: number): number {
  const known = table[unit] ?? UNSEEN;
  return known === UNSEEN ? (table[unit] = classify(String.fromCharCode(unit))) : known;
}

function classify(character: string): number {
  if (/[/@_.\\:]/u.test(character)) return SUSPICIOUS;
  if (/[a-z]/u.test(character)) return LOWER;
  if (/[A-Z]/u.test(character)) return UPPER;
  if (/[\p{L}\p{M}'’-]/u.test(character)) return KEPT;
  if (/\s/u.test(character)) return SPACE;
  return /\p{Cs}/u.test(character) ? SURROGATE : OTHER;
}

/** A text without code, tags, URLs, paths and identifiers: what is left to identify a language by. */
export function proseOf(text: string): string {
  return lettersOf(withoutCode(text));
}

/** A text without what runs over several words: a part of it may be looked at then, and no fence is cut open. */
export function withoutCode(text: string): string {
  let prose = text;
  for (const { sign, pattern } of NOT_PROSE) if (prose.includes(sign)) prose = prose.replace(pattern, ' ');
  return prose;
}

/** Letters, marks, apostrophes and hyphens of the words that are words, everything between them as one space. */
export function lettersOf(text: string): string {
  const parts: string[] = [];
  // A stretch of the text that is kept as it is, single spaces within it; −1 outside one.
  let start = -1;
  let end = -1;
  const flush = () => {
    if (start >= 0) parts.push(text.slice(start, end));
    start = -1;
  };
  for (let at = 0; at < text.length;) {
    if (classOf(text.charCodeAt(at)) === SPACE) {
      at++;
      continue;
    }
    const wordEnd = endOfWord(text, at);
    if (suspicious && isTechnical(text.slice(at, wordEnd))) {
      flush();
      at = wordEnd;
      continue;
    }
    for (; at < wordEnd; at++) {
      const kind = classOf(text.charCodeAt(at));
      const pair = kind === SURROGATE && isLetterPair(text, at);
      if (kind === KEPT || kind === LOWER || kind === UPPER || pair) {
        const joins = start >= 0 && (end === at || (end === at - 1 && text.charCodeAt(end) === 0x20));
        if (!joins) {
          flush();
          start = at;
        }
        if (pair) at++;
        end = at + 1;
      }
    }
  }
  flush();
  return parts.join(' ');
}

/** Whether the word that {@link endOfWord} last went over holds a sign that a technical one needs. */
let suspicious = false;

function endOfWord(text: string, from: number): number {
  suspicious = false;
  let before = OTHER;
  let at = from;
  for (; at < text.length; at++) {
    const kind = classOf(text.charCodeAt(at));
    if (kind === SPACE) break;
    if (kind === SUSPICIOUS || (kind === UPPER && before === LOWER)) suspicious = true;
    before = kind;
  }
  return at;
}

function isTechnical(word: string): boolean {
  return TECHNICAL.some((pattern) => pattern.test(word));
}

function isLetterPair(text: string, at: number): boolean {
  return /^[\p{L}\p{M}]$/u.test(String.fromCodePoint(text.codePointAt(at) ?? 0));
}
