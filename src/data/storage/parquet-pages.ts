import type { ColumnDecoder, ColumnMetaData, DecodedArray, PageHeader } from 'hyparquet/src/types.js';
import { parquetHeader } from 'hyparquet/src/column.js';
import { isFlatColumn } from 'hyparquet/src/schema.js';
import type { ByteSource } from '../byte-source.js';
import { checkHeader, decodeDataPage, decodeDictionary, type FlatPage } from './parquet-page.js';
import { createForwardReader } from './read-ahead.js';

/** A header is some tens of bytes, and more where it carries statistics of long strings. */
const HEADER_BYTES = 16 << 10;
const LONG_HEADER_BYTES = 8 << 20;

/** The data pages of a column chunk, one after another. */
export interface PageReader {
  ended(): boolean;
  /**
   * The next data page; its rows passed over, undecoded, when there are no more of them than `skippable` and its header
   * counts them; null at the end.
   */
  next(skippable: number): Promise<FlatPage | { readonly skippedRows: number } | null>;
}

export function openPages(source: ByteSource, meta: ColumnMetaData, decoder: ColumnDecoder): PageReader {
  const flat = isFlatColumn(decoder.schemaPath);
  let position = Number(meta.dictionary_page_offset || meta.data_page_offset);
  const end = Math.min(position + Number(meta.total_compressed_size), source.byteLength);
  const reader = createForwardReader(source, end);
  let dictionary: DecodedArray | undefined;

  async function readHeader(): Promise<{ readonly header: PageHeader; readonly body: number }> {
    for (const length of [HEADER_BYTES, LONG_HEADER_BYTES]) {
      const bytes = await reader.peek(position, length);
      const view = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
      try {
        const header = parquetHeader(view);
        checkHeader(header);
        return { header, body: position + view.offset };
      } catch (error) {
        if (bytes.length < length || length === LONG_HEADER_BYTES) throw error;
      }
    }
    throw new Error('a page header has no end');
  }

  // Some writers pad a chunk with a byte.
  const ended = () => position >= end - 1;
  return {
    ended,
    next: async (skippable) => {
      while (!ended()) {
        const { header, body } = await readHeader();
        const after = body + header.compressed_page_size;
        if (after > end) throw new Error('a page reaches beyond its column');
        const rows = header.data_page_header_v2?.num_rows ?? (flat ? header.data_page_header?.num_values : undefined);
        if (rows !== undefined && rows >= 0 && rows <= skippable) {
          position = after;
          return { skippedRows: rows };
        }
        const bytes = (await reader.peek(body, header.compressed_page_size)).slice();
        position = after;
        if (header.type === 'DICTIONARY_PAGE') dictionary = decodeDictionary(bytes, header, decoder);
        else if (header.type === 'DATA_PAGE' || header.type === 'DATA_PAGE_V2') {
          return decodeDataPage(bytes, header, decoder, dictionary);
        }
      }
      return null;
    },
  };
}
