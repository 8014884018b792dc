import type { ColumnDecoder, PageHeader, DecodedArray } from 'hyparquet/src/types.js';
import { convert, convertWithDictionary } from 'hyparquet/src/convert.js';
import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js';
import { readPlain } from 'hyparquet/src/plain.js';
import { getMaxDefinitionLevel, getMaxRepetitionLevel } from 'hyparquet/src/schema.js';
import { checkRuns } from './parquet-runs.js';

/** Writers cut pages at about 1 MB; one value may be longer, but nothing honest reaches this. */
const MAX_PAGE_BYTES = 512 << 20;

/** Arrow writes a whole row group of a constant column as one page; row groups seldom pass a million rows. */
const MAX_PAGE_VALUES = 1 << 24;

/** Checks what a page header promises before anything is allocated for it. */
export function checkHeader(header: PageHeader): void {
  const { compressed_page_size: stored, uncompressed_page_size: plain } = header;
  const values =
    header.data_page_header?.num_values ??
    header.data_page_header_v2?.num_values ??
    header.dictionary_page_header?.num_values ??
    0;
  if (!isCount(stored, MAX_PAGE_BYTES) || !isCount(plain, MAX_PAGE_BYTES)) {
    throw new Error(`a page claims ${stored} bytes, ${plain} decompressed; at most ${MAX_PAGE_BYTES} are read`);
  }
  if (!isCount(values, MAX_PAGE_VALUES)) {
    throw new Error(`a page claims ${values} values; at most ${MAX_PAGE_VALUES} are read`);
  }
}

function isCount(value: number, limit: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= limit;
}

export function decodeDictionary(bytes: Uint8Array, header: PageHeader, decoder: ColumnDecoder): DecodedArray {
  const count = header.dictionary_page_header?.num_values ?? 0;
  const page = decompressPage(bytes, header.uncompressed_page_size, decoder.codec, decoder.compressors);
  const reader = { view: viewOf(page), offset: 0 };
  return convert(readPlain(reader, decoder.type, count, decoder.element.type_length), decoder);
}

/** A data page decoded but not assembled into rows: nested arrays of a long page would weigh many times its values. */
export interface FlatPage {
  /** Level entries; for a column that is neither optional nor repeated, one per value. */
  readonly length: number;
  /** Empty where every entry is at the column's maximum. */
  readonly definitionLevels: Uint8Array;
  /** Empty where the column is not repeated. */
  readonly repetitionLevels: Uint8Array;
  readonly values: DecodedArray;
}

/** Decodes a data page. Lengths of runs are checked first, because the decoder writes as many values as a run claims. */
export function decodeDataPage(
  bytes: Uint8Array,
  header: PageHeader,
  decoder: ColumnDecoder,
  dictionary: DecodedArray | undefined,
): FlatPage {
  const decode = header.type === 'DATA_PAGE_V2' ? versionTwo : versionOne;
  const { page, encoding, length } = decode(bytes, header, decoder);
  if (encoding.endsWith('_DICTIONARY') && dictionary === undefined) throw new Error('a page lacks its dictionary');
  return {
    length,
    definitionLevels: Uint8Array.from(page.definitionLevels ?? []),
    repetitionLevels: Uint8Array.from(page.repetitionLevels),
    values: convertWithDictionary(page.dataPage, dictionary, encoding, decoder),
  };
}

function versionOne(bytes: Uint8Array, header: PageHeader, decoder: ColumnDecoder) {
  const fields = header.data_page_header;
  if (fields === undefined) throw new Error('a data page has no header');
  const plain = decompressPage(bytes, header.uncompressed_page_size, decoder.codec, decoder.compressors);
  let offset = 0;
  for (const maximum of levelsOf(decoder)) {
    if (maximum === 0) continue;
    const length = viewOf(plain).getUint32(offset, true);
    offset += 4;
    // Beyond `length` too: the decoder goes on until it has all values, whatever the length says.
    checkRuns(plain.subarray(offset), bitWidth(maximum), fields.num_values);
    offset += length;
  }
  checkValues(plain.subarray(offset), fields.encoding, decoder, fields.num_values);
  return { page: readDataPage(plain, fields, decoder), encoding: fields.encoding, length: fields.num_values };
}

function versionTwo(bytes: Uint8Array, header: PageHeader, decoder: ColumnDecoder) {
  const fields = header.data_page_header_v2;
  if (fields === undefined) throw new Error('a data page has no header');
  const { repetition_levels_byte_length: repetition, definition_levels_byte_length: definition } = fields;
  const levels = repetition + definition;
  if (!(repetition >= 0 && definition >= 0 && levels <= bytes.length && levels <= header.uncompressed_page_size)) {
    throw new Error(`a page of ${bytes.length} bytes claims ${levels} bytes of levels`);
  }
  const [maxRepetition, maxDefinition] = levelsOf(decoder);
  if (maxRepetition > 0) checkRuns(bytes, bitWidth(maxRepetition), fields.num_values);
  if (maxDefinition > 0) checkRuns(bytes.subarray(repetition), bitWidth(maxDefinition), fields.num_values);
  const stored = bytes.subarray(levels);
  const plain =
    fields.is_compressed === false
      ? stored
      : decompressPage(stored, header.uncompressed_page_size - levels, decoder.codec, decoder.compressors);
  checkValues(plain, fields.encoding, decoder, fields.num_values);
  const whole = new Uint8Array(levels + plain.length);
  whole.set(bytes.subarray(0, levels));
  whole.set(plain, levels);
  const decompressed = { ...header, data_page_header_v2: { ...fields, is_compressed: false } };
  return { page: readDataPageV2(whole, decompressed, decoder), encoding: fields.encoding, length: fields.num_values };
}

/** Dictionary indices and booleans are runs, too; no writer makes runs of anything else. */
function checkValues(bytes: Uint8Array, encoding: string, { type }: ColumnDecoder, count: number): void {
  const boolean = type === 'BOOLEAN';
  const coded = encoding.endsWith('_DICTIONARY');
  if ((coded && boolean) || (encoding === 'RLE' && !boolean))
    throw new Error(`a ${type} page is encoded as ${encoding}`);
  if (bytes.length === 0) return;
  if (coded) {
    const width = bytes[0] ?? 0;
    if (width > 32) throw new Error(`dictionary indices of ${width} bits`);
    checkRuns(bytes.subarray(1), width, count);
  } else if (encoding === 'RLE') {
    checkRuns(bytes.subarray(4), 1, count);
  }
}

function levelsOf({ schemaPath }: ColumnDecoder): [repetition: number, definition: number] {
  return [getMaxRepetitionLevel(schemaPath), getMaxDefinitionLevel(schemaPath)];
}

function bitWidth(maximum: number): number {
  return 32 - Math.clz32(maximum);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
