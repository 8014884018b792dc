/**
 * Packing of small unsigned integers into 32-bit words, lowest bits first. Codes and zero points come in the signed
 * domain and are stored with an offset of 2^(bits − 1), so that all fields are unsigned.
 */

/** Codes per 32-bit word. */
export function codesPerWord(bits: 4 | 8): number {
  return 32 / bits;
}

/**
 * Packs each row of `codes` [rows, columns] along its columns: word[r, j] = Σ_i (codes[r, order-th of octet j] +
 * 2^(bits−1)) << bits·i, the tail padded with zero bits.
 *
 * @param order which column of a word's run goes to field i; by default its own
 * @throws RangeError when a code lies outside −2^(bits−1) … 2^(bits−1) − 1
 */
export function packRows(codes: Int8Array, columns: number, bits: 4 | 8, order?: readonly number[]): Int32Array {
  const perWord = codesPerWord(bits);
  const fields = fieldOrder(perWord, order);
  const rows = columns === 0 ? 0 : codes.length / columns;
  const wordColumns = Math.ceil(columns / perWord);
  const words = new Int32Array(rows * wordColumns);
  const offset = 1 << (bits - 1);
  const beyond = ~((1 << bits) - 1);
  for (let row = 0; row < rows; row++) {
    const end = (row + 1) * columns;
    for (let column = 0; column < wordColumns; column++) {
      const first = row * columns + column * perWord;
      let word = 0;
      let excess = 0;
      for (let i = 0; i < perWord; i++) {
        const position = first + fields[i]!;
        if (position >= end) continue;
        const code = codes[position]! + offset;
        excess |= code & beyond;
        word |= code << (bits * i);
      }
      if (excess !== 0) throw outOfRange(codes, columns, bits);
      words[row * wordColumns + column] = word;
    }
  }
  return words;
}

function fieldOrder(perWord: number, order?: readonly number[]): Uint8Array {
  return order === undefined ? Uint8Array.from({ length: perWord }, (_, i) => i) : Uint8Array.from(order);
}

function outOfRange(codes: Int8Array, columns: number, bits: 4 | 8): RangeError {
  const offset = 2 ** (bits - 1);
  const at = codes.findIndex((code) => code < -offset || code >= offset);
  return new RangeError(
    `pack codes: wanted ${-offset}…${offset - 1} for ${bits} bits, got ${codes[at]} at row ${Math.floor(at / columns)}, ` +
      `column ${at % columns}`,
  );
}

/** The inverse of `packRows`: signed codes [rows, columns] of words [rows, ⌈columns / perWord⌉]. */
export function unpackRows(
  words: Int32Array,
  columns: number,
  bits: 4 | 8,
  order?: readonly number[],
): Int8Array<ArrayBuffer> {
  const perWord = codesPerWord(bits);
  const fields = fieldOrder(perWord, order);
  const wordColumns = Math.ceil(columns / perWord);
  const rows = wordColumns === 0 ? 0 : words.length / wordColumns;
  const codes = new Int8Array(rows * columns);
  const offset = 1 << (bits - 1);
  const mask = (1 << bits) - 1;
  for (let row = 0; row < rows; row++) {
    const end = (row + 1) * columns;
    for (let column = 0; column < wordColumns; column++) {
      const first = row * columns + column * perWord;
      const word = words[row * wordColumns + column]!;
      for (let i = 0; i < perWord; i++) {
        const position = first + fields[i]!;
        if (position < end) codes[position] = ((word >>> (bits * i)) & mask) - offset;
      }
    }
  }
  return codes;
}
