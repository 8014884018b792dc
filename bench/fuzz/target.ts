import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bufferBytes } from '../../src/data/byte-source.js';
import { readCard } from '../../src/data/card.js';
import { detectSchema, normalizeRow } from '../../src/data/normalize.js';
import { createRandom } from '../../src/data/sampling.js';
import { openRows } from '../../src/data/storage/open-file.js';
import { InputError } from '../../src/errors.js';
import { mutate } from './mutate.js';

interface Specimen {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const CARD = `---
license: [cc-by-4.0, mit]
base: &files
  - {split: train, path: "data/train-*"}
configs:
  - config_name: default
    default: true
    data_files: *files
  - config_name: other
    data_files: {test: ["a/*.jsonl", b.parquet]}
---
# Card
`;

/** Every storage format's golden file, every golden row of every schema, and a card. */
export function loadSpecimens(): Specimen[] {
  const storage = fileURLToPath(new URL('../../test/data/storage', import.meta.url));
  const schemas = fileURLToPath(new URL('../../test/data/schemas', import.meta.url));
  const files = readdirSync(storage).filter((name) => /\.(parquet|arrow|feather|jsonl|gz|zst|json)$/u.test(name));
  const rows = readdirSync(schemas).flatMap((folder) =>
    readdirSync(join(schemas, folder)).map((file): string => {
      const golden: { readonly row: unknown } = JSON.parse(readFileSync(join(schemas, folder, file), 'utf8'));
      return JSON.stringify(golden.row);
    }),
  );
  const encoder = new TextEncoder();
  return [
    ...files.map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(storage, name))) })),
    { name: 'schemas.jsonl', bytes: encoder.encode(rows.join('\n')) },
    { name: 'schemas.jsonl', bytes: encoder.encode(rows.join('\n')) },
    { name: 'README.md', bytes: encoder.encode(CARD) },
  ];
}

export interface Outcome {
  readonly name: string;
  readonly rows: number;
  /** Whether it was refused, as it should be when it is damaged where it matters. */
  readonly refused: boolean;
}

/**
 * Damages the specimen that the iteration names and reads the result to its end, through the schemas.
 *
 * @throws whatever is not an InputError: a fault
 */
export async function readDamaged(specimens: readonly Specimen[], seed: number, iteration: number): Promise<Outcome> {
  const random = createRandom(seed, String(iteration));
  const { name, bytes } = pick(specimens, random.below(specimens.length));
  const damaged = mutate(bytes, pick(specimens, random.below(specimens.length)).bytes, random);
  let rows = 0;
  let refused = false;
  try {
    if (name === 'README.md') {
      readCard(new TextDecoder().decode(damaged), 'fuzz');
      return { name, rows, refused };
    }
    const file = await openRows(bufferBytes(name, damaged));
    for await (const row of file.rows({ selection: null, columns: null })) {
      rows++;
      try {
        const context = { row: row.value(), columns: null, columnar: file.columnar };
        normalizeRow(detectSchema(context), context, 'fuzz', row.place);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        refused = true;
      }
    }
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    refused = true;
  }
  return { name, rows, refused };
}

function pick(specimens: readonly Specimen[], index: number): Specimen {
  const specimen = specimens[index];
  if (specimen === undefined) throw new RangeError(`there are ${specimens.length} specimens`);
  return specimen;
}
