import { InputError } from '../../errors.js';
import type { ByteSource } from '../byte-source.js';
import { describeValue, isRecord, messageOf, rowPlace, type Row, type RowFile } from '../row.js';
import { streamBytes } from './bytes-stream.js';
import { openJsonLines } from './json-lines.js';
import { splitLines } from './lines.js';

/** A JSON document is parsed as one string, and V8 has none longer than 2²⁹ − 24 units. JSON Lines has no such bound. */
const MAX_DOCUMENT_BYTES = 512 << 20;

/**
 * A JSON file: a list of rows, an object with one list of rows in it, or, as many name it, JSON Lines. The whole document
 * is held in memory.
 */
export async function openJson(source: ByteSource): Promise<RowFile> {
  if (await holdsLines(source)) return openJsonLines(source);
  const rows = findRows(await parseDocument(source), source.name);
  return {
    name: source.name,
    rowCount: rows.length,
    columns: null,
    columnar: false,
    async *rows({ selection }): AsyncGenerator<Row> {
      for (const index of selection ?? rows.keys()) {
        const place = rowPlace(source.name, index);
        yield {
          index,
          place,
          value: () => {
            const row = rows[index];
            if (!isRecord(row))
              throw new InputError(`Cannot read ${place}: wanted an object, got ${describeValue(row)}`);
            return row;
          },
        };
      }
    },
    close: () => source.close(),
  };
}

/** JSON Lines begin with an object that ends on its line and is not all there is. */
async function holdsLines(source: ByteSource): Promise<boolean> {
  const lines = splitLines(streamBytes(source), source.name);
  let seen = 0;
  for await (const { bytes } of lines) {
    if (bytes.every((byte) => byte === 0x20 || byte === 0x09)) continue;
    if (++seen === 2) return true;
    if (bytes[bytes.findIndex((byte) => byte !== 0x20 && byte !== 0x09)] !== 0x7b) return false;
    try {
      JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      return false;
    }
  }
  return false;
}

async function parseDocument(source: ByteSource): Promise<unknown> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let length = 0;
  const pieces: string[] = [];
  try {
    for await (const piece of streamBytes(source)) {
      length += piece.length;
      if (length > MAX_DOCUMENT_BYTES) {
        throw new InputError(`it is longer than ${MAX_DOCUMENT_BYTES} bytes; JSON Lines can be read in pieces`);
      }
      pieces.push(decoder.decode(piece, { stream: true }));
    }
    pieces.push(decoder.decode());
    return JSON.parse(pieces.join(''));
  } catch (error) {
    throw new InputError(`Cannot parse "${source.name}" as JSON: ${messageOf(error)}`, { cause: error });
  }
}

function findRows(document: unknown, name: string): readonly unknown[] {
  if (Array.isArray(document)) return document;
  if (isRecord(document)) {
    const lists = Object.entries(document).filter(([, value]) => Array.isArray(value) && value.some(isRecord));
    const [first] = lists;
    // One list beside scalars is the rows (`data`, `rows`); a row of its own has its list under a schema's name.
    if (
      lists.length === 1 &&
      first !== undefined &&
      ['data', 'rows', 'train', 'examples', 'samples'].includes(first[0])
    ) {
      return Array.isArray(first[1]) ? first[1] : [];
    }
    return [document];
  }
  throw new InputError(`Cannot read "${name}": wanted a list of rows, got ${describeValue(document)}`);
}
