import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { bufferBytes, fileBytes } from '../../src/data/byte-source.js';
import type { Row, RowFile } from '../../src/data/row.js';
import { openRows } from '../../src/data/storage/open-file.js';
import { savedDatasetFiles } from '../../src/data/storage/saved-dataset.js';
import { InputError } from '../../src/errors.js';

const folder = fileURLToPath(new URL('storage', import.meta.url));
const golden = plain(JSON.parse(readFileSync(join(folder, 'rows.json'), 'utf8')));
const files = readdirSync(folder).filter((name) =>
  /\.(parquet|arrow|feather|jsonl|jsonl\.gz|jsonl\.zst|json)$/u.test(name),
);

const opened: RowFile[] = [];
afterEach(async () => {
  for (const file of opened.splice(0)) await file.close();
});

async function open(name: string): Promise<RowFile> {
  const file = await openRows(await fileBytes(join(folder, name)));
  opened.push(file);
  return file;
}

async function collect(rows: AsyncIterable<Row>): Promise<Row[]> {
  const all: Row[] = [];
  for await (const row of rows) all.push(row);
  return all;
}

/** Storages differ in how they hold whole numbers, lists and what is absent; the values are the same. */
function plain(value: unknown): Readonly<Record<string, unknown>>[] {
  return JSON.parse(
    JSON.stringify(value, (_, each: unknown) => {
      if (typeof each === 'bigint') return Number(each);
      if (each === null) return undefined;
      return each;
    }),
  );
}

function values(rows: readonly Row[]) {
  return plain(rows.map(({ value }) => value()));
}

it('has the files that make.py writes', () => {
  expect(files.length).toBeGreaterThanOrEqual(20);
});

describe.each(files)('%s', (name) => {
  it('holds the golden rows', async () => {
    const rows = await collect((await open(name)).rows({ selection: null, columns: null }));
    expect(rows.map(({ index }) => index)).toEqual(golden.map((_, index) => index));
    expect(values(rows)).toEqual(golden);
  });

  it('reads selected rows and columns', async () => {
    const file = await open(name);
    if (file.rowCount === null) return;
    expect(file.rowCount).toBe(golden.length);
    const selection = [0, 1, 48, 49, 50, 77, 119];
    const columns = file.columns === null ? null : ['id', 'messages', 'absent'];
    const rows = await collect(file.rows({ selection, columns }));
    expect(rows.map(({ index }) => index)).toEqual(selection);
    const wanted = selection.map((index) => golden[index]);
    expect(values(rows)).toEqual(
      columns === null ? wanted : wanted.map((row) => ({ id: row?.['id'], messages: row?.['messages'] })),
    );
  });
});

describe('save_to_disk folders', () => {
  it('reads every shard', async () => {
    const paths = (await savedDatasetFiles(join(folder, 'saved'), undefined)) ?? [];
    expect(paths).toHaveLength(2);
    const rows: unknown[] = [];
    for (const path of paths) {
      const file = await open(path.slice(folder.length + 1));
      rows.push(...values(await collect(file.rows({ selection: null, columns: null }))));
    }
    expect(rows).toEqual(golden);
  });

  it('chooses the split, train by default', async () => {
    const of = (split?: string) => savedDatasetFiles(join(folder, 'saved-splits'), split);
    expect(await of()).toEqual([join(folder, 'saved-splits', 'train', 'data-00000-of-00001.arrow')]);
    expect(await of('test')).toEqual([join(folder, 'saved-splits', 'test', 'data-00000-of-00001.arrow')]);
    await expect(of('dev')).rejects.toThrow('no split "dev"; it has train, test');
  });

  it('is null for other folders', async () => {
    expect(await savedDatasetFiles(folder, undefined)).toBeNull();
  });
});

async function read(name: string, bytes: Uint8Array | string) {
  const source = bufferBytes(name, typeof bytes === 'string' ? new TextEncoder().encode(bytes) : bytes);
  const rows = await collect((await openRows(source)).rows({ selection: null, columns: null }));
  return rows.map(({ value }) => value());
}

describe('ill-formed files', () => {
  it.each([
    ['a.jsonl', '{"a": 1}\n{"a": \n', 'a.jsonl:2: Cannot parse the row as JSON'],
    ['a.jsonl', '{"a": 1}\n[1]\n', 'a.jsonl:2: Cannot read the row: wanted an object, got a list of 1'],
    [
      'a.jsonl',
      new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
      'a.jsonl:1: Cannot decode the line: it is not UTF-8',
    ],
    ['a.json', '[{"a": 1}, 7]', 'Cannot read row 1 of "a.json": wanted an object, got 7'],
    ['a.json', '[{"a": 1},', 'Cannot parse "a.json" as JSON'],
    ['a.json', '7', 'Cannot read "a.json": wanted a list of rows, got 7'],
    ['a.parquet', 'PAR1', 'Cannot read "a.parquet" as Parquet: it has only 4 bytes'],
    ['a.parquet', 'PAR1 this is no parquet file', 'wanted "PAR1" at its end, got "file"'],
    ['a.arrow', '', 'Cannot read "a.arrow": it does not begin with a schema'],
    ['a.xlsx', '', 'Cannot read "a.xlsx": wanted a file of parquet, jsonl'],
  ])('%s %#', async (name, bytes, message) => {
    const reading = read(name, bytes);
    await expect(reading).rejects.toThrow(InputError);
    await expect(reading).rejects.toThrow(message);
  });

  it.each(['v1-zstd.parquet', 'lines.jsonl.gz', 'lines.jsonl.zst', 'stream.arrow', 'file.arrow', 'list.json'])(
    '%s cut short is an InputError at every length',
    async (name) => {
      const bytes = new Uint8Array(readFileSync(join(folder, name)));
      for (let length = 3; length < bytes.length - 600; length += Math.ceil(bytes.length / 40)) {
        await expect(read(name, bytes.subarray(0, length))).rejects.toThrow(InputError);
      }
    },
  );
});

/** A Parquet file that is nothing but a footer in Thrift's compact protocol: names and numbers of children. */
function footerOf(elements: readonly (readonly [name: string, children: number])[]): Uint8Array {
  const varint = (value: number): number[] =>
    value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
  const zigzag = (value: number) => varint(((value << 1) ^ (value >> 31)) >>> 0);
  const schema = elements.flatMap(([name, children]) => [
    0x48,
    name.length,
    ...Buffer.from(name),
    ...(children === 0 ? [] : [0x15, ...zigzag(children)]),
    0,
  ]);
  const list = elements.length < 15 ? [(elements.length << 4) | 12] : [0xfc, ...varint(elements.length)];
  // Version 1; the schema; no rows; no row groups.
  const metadata = Uint8Array.from([0x15, 2, 0x19, ...list, ...schema, 0x16, 0, 0x19, 0x0c, 0]);
  const length = new Uint8Array(Uint32Array.of(metadata.length).buffer);
  return Uint8Array.from([...Buffer.from('PAR1'), ...metadata, ...length, ...Buffer.from('PAR1')]);
}

describe('schemas of Parquet', () => {
  const openFooter = (elements: Parameters<typeof footerOf>[0]) =>
    openRows(bufferBytes('a.parquet', footerOf(elements)));

  it('are read', async () => {
    const file = await openFooter([
      ['root', 2],
      ['a', 1],
      ['list', 0],
      ['b', 0],
    ]);
    expect(file).toMatchObject({ rowCount: 0, columns: ['a', 'b'] });
  });

  it.each<[string, [string, number][], string]>([
    // hyparquet once followed this one for ever.
    [
      'a negative number of children',
      [
        ['root', 1],
        ['a', -1],
        ['b', 0],
      ],
      'does not add up at element 1',
    ],
    [
      'more elements than are counted',
      [
        ['root', 1],
        ['a', 0],
        ['b', 0],
      ],
      'does not add up at element 2',
    ],
    [
      'fewer',
      [
        ['root', 3],
        ['a', 0],
      ],
      'is cut off',
    ],
    ['deep nesting', Array.from({ length: 300 }, (_, at) => ['x', at < 299 ? 1 : 0]), 'is nested too deeply'],
  ])('are refused with %s', async (_, elements, message) => {
    await expect(openFooter(elements)).rejects.toThrow(message);
  });
});

describe('plain text', () => {
  it('makes passages of whole paragraphs', async () => {
    const paragraph = `${'slovo '.repeat(100)}\nkonec`;
    const text = Array.from({ length: 9 }, (_, at) => `${at} ${paragraph}`).join('\n\n');
    const file = await openRows(bufferBytes('a.txt', new TextEncoder().encode(text)));
    const rows = await collect(file.rows({ selection: null, columns: null }));
    expect(rows.map(({ place }) => place)).toEqual(['a.txt:1', 'a.txt:13', 'a.txt:25']);
    expect(rows.map(({ value }) => value()['text']).join('\n\n')).toBe(text);
  });
});
