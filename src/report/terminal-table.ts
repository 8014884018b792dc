import { plain } from './text.js';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
  /** Left out where there is no room for all: the highest first. */
  readonly optional?: number;
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

/** A table as lines; what is too wide loses its optional columns, then its last ones, before it wraps. */
export function tableLines(columns: readonly Column[], rows: readonly (readonly string[])[], width: number): string[] {
  const cells = rows.map((row) => row.map(plain));
  const widths = columns.map(({ title }, c) =>
    Math.max(displayWidth(title), ...cells.map((row) => displayWidth(row[c] ?? ''))),
  );
  const shown = columnsThatFit(columns, widths, width);
  const line = (row: readonly string[]): string => {
    let text = '';
    for (const [place, c] of shown.entries()) {
      const cell = row[c] ?? '';
      const space = ' '.repeat(Math.max(0, widths[c]! - displayWidth(cell)));
      text += (place === 0 ? '' : GAP) + (columns[c]!.align === 'right' ? space + cell : cell + space);
    }
    return text.trimEnd();
  };
  return [line(columns.map(({ title }) => title)), ...cells.map(line)];
}

const GAP = '  ';

/** Places of the columns to show, in their order; always the first. */
function columnsThatFit(columns: readonly Column[], widths: readonly number[], width: number): number[] {
  let shown = [...columns.keys()];
  const isTooWide = (): boolean => shown.reduce((sum, c) => sum + widths[c]! + GAP.length, -GAP.length) > width;
  const optional = [...columns.keys()]
    .filter((c) => columns[c]!.optional !== undefined)
    .sort((a, b) => columns[b]!.optional! - columns[a]!.optional!);
  for (const c of optional) if (isTooWide()) shown = shown.filter((other) => other !== c);
  while (isTooWide() && shown.length > 1) shown.pop();
  return shown;
}
