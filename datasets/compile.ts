/**
 * Compiles the readable rows of every set, datasets/<set>/rows/*.yaml, to datasets/<set>/<set>.jsonl and .parquet.
 * The same rows give the same bytes. `--check` writes nothing and fails when a compiled file is out of date.
 *
 *     npx tsx datasets/compile.ts [--check]
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '../src/errors.js';
import { shipRow, toJsonLines, toParquet, type ShippedRow } from './columns.js';
import { parseRowSource, SETS } from './row-source.js';

const folder = fileURLToPath(new URL('.', import.meta.url));
const check = process.argv.includes('--check');
const problems: string[] = [];

for (const [set, category] of Object.entries(SETS)) {
  const sources = join(folder, set, 'rows');
  if (!existsSync(sources)) continue;
  const rows = readRows(set, sources, category);
  if (rows.length === 0) continue;
  keep(join(folder, set, `${set}.jsonl`), Buffer.from(toJsonLines(rows)));
  keep(join(folder, set, `${set}.parquet`), toParquet(rows));
  const languages = new Set(rows.map(({ language }) => language)).size;
  console.error(`${set}: ${rows.length} rows, ${languages} languages`);
}

for (const problem of problems) console.error(problem);
process.exitCode = problems.length === 0 ? 0 : 1;

/** Rows in the order of their file names; those that are wrong are reported, all of them, and left out. */
function readRows(set: string, sources: string, category: string): ShippedRow[] {
  const files = readdirSync(sources)
    .filter((name) => name.endsWith('.yaml'))
    .sort((a, b) => (a < b ? -1 : 1));
  return files.flatMap((name) => {
    const path = join(sources, name);
    try {
      const row = parseRowSource(readFileSync(path, 'utf8'), join('datasets', set, 'rows', name), category);
      return [shipRow(row, set, basename(name, '.yaml'))];
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      problems.push(error.message);
      return [];
    }
  });
}

function keep(path: string, bytes: Uint8Array): void {
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  if (check) problems.push(`${path}: out of date; run \`npx tsx datasets/compile.ts\``);
  else writeFileSync(path, bytes);
}
