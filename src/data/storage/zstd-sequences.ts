import { buildTable, certainTable, damaged, readProbabilities, type Table } from './zstd-entropy.js';

/** Codes of literal lengths, offsets and match lengths, in the order of their tables in a block. */
type Part = 'literals' | 'offsets' | 'matches';
const PARTS: readonly Part[] = ['literals', 'offsets', 'matches'];

/** Tables that a later block of the frame may repeat. */
export type Tables = Partial<Record<Part, Table>>;

/** RFC 8878, 3.1.1.3.2.2: the default distributions, and the limits of others. */
const CODES: Readonly<Record<Part, { maxLog: number; maxSigns: number; standard: Table }>> = {
  literals: {
    maxLog: 9,
    maxSigns: 36,
    standard: standard(6, [
      4,
      3,
      ...times(11, 2),
      ...times(3, 1),
      ...times(9, 2),
      3,
      2,
      ...times(5, 1),
      ...times(4, -1),
    ]),
  },
  offsets: {
    maxLog: 8,
    maxSigns: 32,
    standard: standard(5, [...times(6, 1), ...times(3, 2), ...times(15, 1), ...times(5, -1)]),
  },
  matches: {
    maxLog: 9,
    maxSigns: 53,
    standard: standard(6, [1, 4, 3, ...times(6, 2), ...times(37, 1), ...times(7, -1)]),
  },
};

/** What a code adds to: bits to read, and the least length. */
const LITERAL_BITS = Uint8Array.of(...times(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const MATCH_BITS = Uint8Array.of(...times(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16);
const LITERAL_BASES = basesOf(LITERAL_BITS, 0);
const MATCH_BASES = basesOf(MATCH_BITS, 3);

/** Kinds of tables. */
const [STANDARD, CERTAIN, OWN] = [0, 1, 2];

/**
 * Follows the sequences of a compressed block without copying anything. fzstd 0.1.1 does not look where its output ends: a
 * damaged block of a few bytes makes it copy gigabytes to nowhere. zstd itself refuses such a block.
 *
 * @param bytes the block from its number of sequences on
 * @param tables of the frame; the block's own are put there
 * @param literals bytes that the block has literals
 * @param most bytes that a block may make
 * @returns bytes that the block makes
 * @throws Error as soon as it is more than `most`, or more literals than there are
 */
export function checkSequences(bytes: Uint8Array, tables: Tables, literals: number, most: number): number {
  let at = 0;
  let count = bytes[at++] ?? 0;
  if (count === 0) return literals;
  if (count === 255) {
    count = (bytes[at] ?? 0) + ((bytes[at + 1] ?? 0) << 8) + 0x7f00;
    at += 2;
  } else if (count > 127) count = ((count - 128) << 8) + (bytes[at++] ?? 0);
  const kinds = bytes[at++] ?? 0;
  for (const [index, part] of PARTS.entries()) {
    const { maxLog, maxSigns, standard: usual } = CODES[part];
    const kind = (kinds >> (6 - 2 * index)) & 3;
    if (kind === STANDARD) tables[part] = usual;
    else if (kind === CERTAIN) {
      const sign = bytes[at++] ?? 0;
      if (sign >= maxSigns) throw damaged(`there is no length code ${sign}`);
      tables[part] = certainTable(sign);
    } else if (kind === OWN) {
      const probabilities = readProbabilities(bytes, at, maxLog, maxSigns);
      tables[part] = buildTable(probabilities);
      at = probabilities.end;
    } else if (tables[part] === undefined) throw damaged('its first block repeats a table');
  }
  return walk(bytes.subarray(at), count, tables as Required<Tables>, literals, most);
}

function walk(
  bits: Uint8Array,
  count: number,
  { literals: literalTable, offsets: offsetTable, matches: matchTable }: Required<Tables>,
  literals: number,
  most: number,
): number {
  const last = bits.at(-1) ?? 0;
  if (last === 0) throw damaged('its sequences have no end');
  // They are written backwards: from the highest bit set, which marks their end.
  let position = bits.length * 8 - 8 + (31 - Math.clz32(last));
  const read = (length: number): number => {
    position -= length;
    if (position < 0) throw damaged('its sequences are cut off');
    const at = position >> 3;
    const word = (bits[at] ?? 0) | ((bits[at + 1] ?? 0) << 8) | ((bits[at + 2] ?? 0) << 16);
    return (word >> (position & 7)) & ((1 << length) - 1);
  };
  let literalState = read(literalTable.log);
  let offsetState = read(offsetTable.log);
  let matchState = read(matchTable.log);
  let [used, made] = [0, literals];
  for (let left = count; left > 0; left--) {
    const literalCode = literalTable.signs[literalState]!;
    const matchCode = matchTable.signs[matchState]!;
    // The offset itself copies nothing.
    position -= offsetTable.signs[offsetState]!;
    made += MATCH_BASES[matchCode]! + read(MATCH_BITS[matchCode]!);
    used += LITERAL_BASES[literalCode]! + read(LITERAL_BITS[literalCode]!);
    if (made > most) throw damaged(`a block makes more than ${most} bytes`);
    if (used > literals) throw damaged(`a block has ${literals} literals and takes more`);
    if (left === 1) break;
    literalState = literalTable.bases[literalState]! + read(literalTable.bits[literalState]!);
    matchState = matchTable.bases[matchState]! + read(matchTable.bits[matchState]!);
    offsetState = offsetTable.bases[offsetState]! + read(offsetTable.bits[offsetState]!);
  }
  return made;
}

function standard(log: number, values: readonly number[]): Table {
  return buildTable({ log, values });
}

function times(count: number, value: number): number[] {
  return Array.from({ length: count }, () => value);
}

function basesOf(bits: Uint8Array, least: number): Int32Array {
  const bases = new Int32Array(bits.length);
  let base = least;
  for (const [code, length] of bits.entries()) {
    bases[code] = base;
    base += 1 << length;
  }
  return bases;
}
