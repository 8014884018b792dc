/**
 * What is not prose and runs over several words, most greedy first: fenced code, scripts and tool calls with what they
 * hold, inline code, formulas, tags, special tokens, placeholders. Every repetition is bounded or ends at a fixed text, so
 * that hostile input takes time in proportion to its length.
 */
const NOT_PROSE: readonly RegExp[] = [
  /```[\s\S]*?(?:```|$)/gu,
  /~~~[\s\S]*?(?:~~~|$)/gu,
  /<(script|style|keystrokes|execute_bash|tool_call|tool_response|function_calls)\b[^>]{0,200}>[\s\S]*?(?:<\/\1>|$)/giu,
  /`[^`\n]{1,500}`/gu,
  /\$\$[\s\S]{0,2000}?\$\$/gu,
  /<\/?[a-z_][^<>\n]{0,200}>/giu,
  /<\|[^|\n]{1,40}\|>/gu,
  /\$?\{\{?[^{}\n]{0,200}\}?\}/gu,
];

/** A word that holds one of these may be something else than a word. */
const SUSPICIOUS = /[/@_.\\:]|[a-z][A-Z]/u;
const TECHNICAL: readonly RegExp[] = [
  /:\/\//u,
  /@[\w-]{1,64}\.\w/u,
  /^[("'[]{0,2}(?:~|\.{1,2})?[/\\][\w.-]/u,
  /\w_\w/u,
  /[a-z][A-Z]/u,
  /\w\.(?:py|js|ts|json|ya?ml|md|txt|sh|rs|go|java|cpp|html|css|toml|csv)\b/iu,
];

/** A text without code, tags, URLs, paths and identifiers: what is left to identify a language by. */
export function proseOf(text: string): string {
  let prose = text;
  for (const pattern of NOT_PROSE) prose = prose.replace(pattern, ' ');
  return prose
    .replaceAll(/\S+/gu, (word) => (isTechnical(word) ? ' ' : word))
    .replaceAll(/[^\p{L}\p{M}'’\- ]+/gu, ' ')
    .replaceAll(/\s+/gu, ' ')
    .trim();
}

function isTechnical(word: string): boolean {
  return SUSPICIOUS.test(word) && TECHNICAL.some((pattern) => pattern.test(word));
}
