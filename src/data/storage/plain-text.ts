import type { ByteSource } from '../byte-source.js';
import type { Row, RowFile } from '../row.js';
import { streamBytes } from './bytes-stream.js';
import { decodeUtf8, splitLines } from './lines.js';

/** A passage ends at the first blank line after this many characters, so that short paragraphs stay with their context. */
const PASSAGE_CHARACTERS = 2_000;

/** Text without blank lines is cut at a line end after this many. */
const MAX_PASSAGE_CHARACTERS = 100_000;

/**
 * Plain text or Markdown as rows of `text`: passages of whole paragraphs, some 500 tokens each, the lines of each as they
 * stand in the file.
 */
export function openPlainText(source: ByteSource): RowFile {
  return {
    name: source.name,
    rowCount: null,
    columns: ['text'],
    columnar: false,
    rows: ({ signal }) => readPassages(source, signal),
    close: () => source.close(),
  };
}

async function* readPassages(source: ByteSource, signal?: AbortSignal): AsyncGenerator<Row> {
  const { name } = source;
  let lines: string[] = [];
  let characters = 0;
  let firstLine = 1;
  let index = 0;
  const finish = (): Row | null => {
    const text = lines.join('\n').trim();
    const place = `${name}:${firstLine}`;
    lines = [];
    characters = 0;
    return text === '' ? null : { index: index++, place, value: () => ({ text }) };
  };
  for await (const { number, bytes } of splitLines(streamBytes(source, signal), name)) {
    const line = decodeUtf8(bytes, name, number);
    const blank = line.trim() === '';
    if (lines.length === 0) {
      if (blank) continue;
      firstLine = number;
    }
    lines.push(line);
    characters += line.length + 1;
    if ((blank && characters >= PASSAGE_CHARACTERS) || characters >= MAX_PASSAGE_CHARACTERS) {
      const row = finish();
      if (row !== null) yield row;
    }
  }
  const last = finish();
  if (last !== null) yield last;
}
