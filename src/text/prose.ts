/**
 * What is not prose, most greedy first: fenced code, indented code, thinking and tool tags with their names, XML and HTML
 * tags, URLs, addresses, paths, inline code, placeholders.
 */
const NOT_PROSE: readonly RegExp[] = [
  /```[\s\S]*?(?:```|$)/gu,
  /~~~[\s\S]*?(?:~~~|$)/gu,
  /<(script|style|keystrokes|execute_bash|tool_call|tool_response|function_calls)\b[\s\S]*?<\/\1>/giu,
  /`[^`\n]+`/gu,
  /\$\$[\s\S]*?\$\$/gu,
  /<\/?[a-z_][^<>\n]{0,200}>/giu,
  /<\|[^|\n]{1,40}\|>/gu,
  /\b[a-z][a-z0-9+.-]*:\/\/\S+/giu,
  /\b[\w.+-]+@[\w-]+\.[\w.]+\b/gu,
  /(?:^|\s)[~.]{0,2}\/[\w./-]+/gu,
  /\b\w+(?:[._-]\w+)*\.(?:py|js|ts|json|ya?ml|md|txt|sh|rs|go|java|c|cpp|h|html|css|toml|csv)\b/giu,
  /\b\w+(?:_\w+)+\b|\b[a-z]+(?:[A-Z][a-z]+)+\b/gu,
  /\$\{[^}\n]*\}|\{\{[^}\n]*\}\}/gu,
];

/** A text without code, tags, URLs, paths and identifiers: what is left to identify a language by. */
export function proseOf(text: string): string {
  let prose = text;
  for (const pattern of NOT_PROSE) prose = prose.replace(pattern, ' ');
  return prose
    .replaceAll(/[^\p{L}\p{M}'’\- ]+/gu, ' ')
    .replaceAll(/\s+/gu, ' ')
    .trim();
}
