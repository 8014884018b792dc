import { readFile, stat } from 'node:fs/promises';
import { InputError } from '../errors.js';
import type { Coverage } from './coverage.js';
import { importedCoverage } from './imported.js';

/** 94 layers × 512 experts take 4 MB. */
const MOST_BYTES = 2 ** 28;
const TABLE_HEAD = /<th>\s*Layer\/Expert\s*<\/th>/;
const ROW = /<tr>\s*<td>([^<]*)<\/td>((?:\s*<td[^<>]*>\s*\d+\s*<\/td>)+)\s*<\/tr>/g;
const COUNT = />\s*(\d+)\s*<\/td>/g;

/**
 * Reads the `.moe.html` that NVIDIA Model-Optimizer leaves beside an exported model: a table of MoE modules × experts with
 * the tokens that each expert got in calibration. Of tokens, languages and samples it says nothing.
 *
 * @throws InputError when there is no such table, or its rows differ in length
 */
export async function importMoeHtml(path: string, floor: number): Promise<Coverage> {
  const fail = (problem: string): never => {
    throw new InputError(`import Model-Optimizer's expert counts: ${problem}`, { location: { file: path } });
  };
  const html = await readText(path, fail);
  if (!TABLE_HEAD.test(html)) return fail("wanted a table headed 'Layer/Expert'");
  const rows = Array.from(html.matchAll(ROW), ([, name = '', cells = '']) => ({
    name,
    routed: Array.from(cells.matchAll(COUNT), ([, count]) => Number(count)),
  }));
  const [first] = rows;
  if (first === undefined) return fail('the table has no rows of counts');
  for (const { name, routed } of rows) {
    if (routed.length !== first.routed.length) {
      return fail(`'${name}' has ${routed.length} experts, '${first.name}' has ${first.routed.length}`);
    }
    if (!routed.every(Number.isSafeInteger)) return fail(`'${name}' has a count beyond 2^53`);
  }
  return importedCoverage({
    format: 'moe.html',
    path,
    architecture: 'Model-Optimizer export',
    tokens: 0,
    sequences: 0,
    sequenceLength: 0,
    layers: numberLayers(rows.map(({ name }) => name)).map((layer, i) => ({ layer, topK: 0, routed: rows[i]!.routed })),
    floor,
  });
}

async function readText(path: string, fail: (problem: string) => never): Promise<string> {
  const size = await stat(path).then(
    (stats) => stats.size,
    () => null,
  );
  if (size === null) return fail('the file cannot be opened');
  if (size > MOST_BYTES) return fail(`wanted at most ${MOST_BYTES} bytes, got ${size}`);
  return readFile(path, 'utf8');
}

/** The first number of a module's name (`model.layers.3.mlp`); positions, when names do not tell layers apart. */
function numberLayers(names: readonly string[]): number[] {
  const numbers = names.map((name) => Number(/(?:^|\.)(\d+)(?:\.|$)/.exec(name)?.[1] ?? Number.NaN));
  return new Set(numbers).size === names.length && !numbers.some(Number.isNaN) ? numbers : names.map((_, i) => i);
}
