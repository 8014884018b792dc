import { plain } from './text.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

const CELL_WIDTH = new Intl.Segmenter('en', { granularity: 'grapheme' });
/** Scripts whose letters take two columns of a terminal. */
const WIDE =
  /[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}\p{Emoji_Presentation}\uff01-\uff60]/u;

/** Columns that a text takes in a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const { segment } of CELL_WIDTH.segment(text)) width += WIDE.test(segment) ? 2 : 1;
  return width;
}

/** Cuts a text in the middle, where names of files and data sets differ least. */
export function shorten(text: string, width: number): string {
  if (displayWidth(text) <= width) return text;
  const letters = Array.from(CELL_WIDTH.segment(text), ({ segment }) => segment);
  const tail = Math.max(0, Math.floor((width - 1) / 2));
  return `${letters.slice(0, Math.max(0, width - 1 - tail)).join('')}…${tail === 0 ? '' : letters.slice(-tail).join('')}`;
}

/** A table as lines; what is too wide loses its last columns before it wraps. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string[] {
  const cells = rows.map((row) => row.map(plain));
  const widths = columns.map(({ title }, c) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[c] ?? ''))),
  );
  const line = (row: readonly string[]): string => {
    let text = '';
    let used = 0;
    for (const [c, column] of columns.entries()) {
      used += widths[c]! + (c === 0 ? 0 : 2);
      if (used > width && c > 0) break;
      const cell = row[c] ?? '';
      const space = ' '.repeat(Math.max(0, widths[c]! - displayWidth(cell)));
      text += (c === 0 ? '' : '  ') + (column.align === 'right' ? space + cell : cell + space);
    }
    return text.trimEnd();
  };
  return [line(columns.map(({ title }) => title)), ...cells.map(line)];
}
