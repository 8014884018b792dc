import { InputError } from '../../errors.js';

/** The longest line that is read: agent trajectories with file contents reach tens of megabytes. */
const MAX_LINE_BYTES = 256 << 20;

export interface Line {
  /** From 1. */
  readonly number: number;
  readonly bytes: Uint8Array;
}

/** Splits a stream of bytes at line feeds; a carriage return before one and a byte order mark at the start are dropped. */
export async function* splitLines(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Line> {
  let pieces: Uint8Array[] = [];
  let pending = 0;
  let number = 0;
  const finish = (last: Uint8Array): Line => {
    const bytes = pieces.length === 0 ? last : concatenate([...pieces, last], pending + last.length);
    pieces = [];
    pending = 0;
    number++;
    return { number, bytes: trimLine(bytes, number) };
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      yield finish(chunk.subarray(start, end));
      start = end + 1;
    }
    if (start < chunk.length) {
      pieces.push(chunk.slice(start));
      pending += chunk.length - start;
      if (pending > MAX_LINE_BYTES) {
        const location = { file: name, line: number + 1 };
        throw new InputError(`Cannot read the line: it is longer than ${MAX_LINE_BYTES} bytes`, { location });
      }
    }
  }
  if (pending > 0) yield finish(new Uint8Array(0));
}

function trimLine(bytes: Uint8Array, number: number): Uint8Array {
  const start = number === 1 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf ? 3 : 0;
  const end = bytes.at(-1) === 0x0d ? bytes.length - 1 : bytes.length;
  return bytes.subarray(start, Math.max(start, end));
}

function concatenate(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Strict UTF-8: a wrong byte is an error with its place, not a replacement character. */
export function decodeUtf8(bytes: Uint8Array, file: string, line: number): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new InputError('Cannot decode the line: it is not UTF-8', { location: { file, line }, cause: error });
  }
}
