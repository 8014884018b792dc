import { plain } from './text.js';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Text for element content and quoted attributes. */
export function escapeHtml(text: string): string {
  return plain(text).replace(/[&<>"']/g, (letter) => ENTITIES[letter]!);
}

/** JSON that may stand inside a script element: nothing in it can end the element or begin a comment. */
export function embedJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

export interface HtmlColumn {
  readonly title: string;
  readonly number?: boolean;
  /** Long text that may break into lines. */
  readonly wrap?: boolean;
}

/** A table cell: text to be escaped, or markup that is safe already. */
export type HtmlCell = string | { readonly html: string };

/** A table in a box that scrolls sideways by itself, reachable by keyboard; the first column names the row. */
export function htmlTable(
  caption: string,
  columns: readonly HtmlColumn[],
  rows: readonly (readonly HtmlCell[])[],
): string {
  const classOf = (c: number): string => {
    const { number, wrap } = columns[c]!;
    return number === true ? ' class="n"' : wrap === true ? ' class="wrap"' : '';
  };
  const head = columns.map(({ title }, c) => `<th scope="col"${classOf(c)}>${escapeHtml(title)}</th>`).join('');
  const body = rows.map((row) => `<tr>${row.map((cell, c) => cellHtml(cell, c === 0, classOf(c))).join('')}</tr>`);
  return (
    `<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(caption)}"><table><caption>${escapeHtml(caption)}` +
    `</caption><thead><tr>${head}</tr></thead><tbody>${body.join('\n')}</tbody></table></div>`
  );
}

function cellHtml(cell: HtmlCell, head: boolean, classText: string): string {
  const content = typeof cell === 'string' ? escapeHtml(cell) : cell.html;
  return head ? `<th scope="row"${classText}>${content}</th>` : `<td${classText}>${content}</td>`;
}
