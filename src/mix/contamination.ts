import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { InputError } from '../errors.js';

/** Benchmark texts by their word n-grams. */
export interface ContaminationLists {
  /** The list whose n-gram a text contains, with the n-gram; null when it contains none. */
  find(text: string): { readonly list: string; readonly ngram: string } | null;
  /** n-grams per list. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** A list larger than this is a corpus, not a benchmark; its n-grams would fill the memory. */
const MOST_NGRAMS = 20_000_000;

/** Words, lower case; signs count as words where a script has no spaces. */
const WORDS =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}\p{Script=Myanmar}]|[\p{L}\p{M}\p{N}]+/gu;

/**
 * Reads lists of benchmark texts: JSON or JSONL (every string inside counts), else one text per line.
 *
 * @param ngram words in a row that must agree
 * @throws InputError when a file is missing or none of its texts is as long as an n-gram
 */
export async function loadContaminationLists(paths: readonly string[], ngram: number): Promise<ContaminationLists> {
  const owners = new Map<string, string>();
  const sizes = new Map<string, number>();
  for (const path of paths) {
    const list = basename(path);
    const before = owners.size;
    for (const text of textsOf(await readList(path), path)) {
      const words = wordsOf(text);
      for (let start = 0; start + ngram <= words.length; start++) {
        const gram = words.slice(start, start + ngram).join(' ');
        if (!owners.has(gram)) owners.set(gram, list);
      }
      if (owners.size > MOST_NGRAMS)
        throw new InputError(`Cannot use the contamination list "${path}": over ${MOST_NGRAMS} n-grams`);
    }
    if (owners.size === before) {
      throw new InputError(
        `Cannot use the contamination list "${path}": none of its texts has ${ngram} words of its own`,
      );
    }
    sizes.set(list, owners.size - before);
  }
  const mayOwn = createFilter(owners, ngram);
  return {
    sizes,
    find(text) {
      const words = wordsOf(text);
      for (const start of mayOwn(words)) {
        const gram = words.slice(start, start + ngram).join(' ');
        const list = owners.get(gram);
        if (list !== undefined) return { list, ngram: gram };
      }
      return null;
    },
  };
}

function wordsOf(text: string): readonly string[] {
  return text.normalize('NFKC').toLowerCase().match(WORDS) ?? [];
}

/** Bits per n-gram of the lists: one place in sixteen is looked at in vain. */
const FILTER_BITS = 16;
const MULTIPLIER = 0x0100_0193;

/**
 * Where in a text an n-gram of the lists may begin, by hashes: writing out every n-gram of every text would take as long
 * as the rest of its preparation.
 */
function createFilter(
  grams: ReadonlyMap<string, unknown>,
  ngram: number,
): (words: readonly string[]) => Iterable<number> {
  let size = 1024;
  while (size * 32 < FILTER_BITS * grams.size) size *= 2;
  const bits = new Uint32Array(size);
  for (const gram of grams.keys()) {
    for (const hash of rollingHashes(gram.split(' '), ngram)) bits[(hash >>> 5) & (size - 1)]! |= 1 << (hash & 31);
  }
  return function* (words) {
    let start = 0;
    for (const hash of rollingHashes(words, ngram)) {
      if (((bits[(hash >>> 5) & (size - 1)] ?? 0) & (1 << (hash & 31))) !== 0) yield start;
      start++;
    }
  };
}

/** A hash of every `ngram` words in a row, each from the one before. */
function* rollingHashes(words: readonly string[], ngram: number): Generator<number> {
  let power = 1;
  for (let at = 1; at < ngram; at++) power = Math.imul(power, MULTIPLIER);
  const hashes = new Int32Array(words.length);
  let rolling = 0;
  for (const [at, word] of words.entries()) {
    let hash = 0x811c_9dc5;
    for (let unit = 0; unit < word.length; unit++) hash = Math.imul(hash ^ word.charCodeAt(unit), MULTIPLIER);
    hashes[at] = hash;
    if (at >= ngram) rolling = (rolling - Math.imul(hashes[at - ngram] ?? 0, power)) | 0;
    rolling = (Math.imul(rolling, MULTIPLIER) + hash) | 0;
    if (at >= ngram - 1) yield Math.imul(rolling ^ (rolling >>> 15), 0x85eb_ca6b);
  }
}

async function readList(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new InputError(
      `Cannot read the contamination list "${path}": ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}

function textsOf(content: string, path: string): string[] {
  if (path.endsWith('.json')) return strings(parse(content, path, 1));
  const lines = content.split('\n').filter((line) => line.trim() !== '');
  return path.endsWith('.jsonl') ? lines.flatMap((line, index) => strings(parse(line, path, index + 1))) : lines;
}

function parse(text: string, path: string, line: number): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(
      `Cannot parse the contamination list as JSON: ${error instanceof Error ? error.message : String(error)}`,
      {
        location: { file: path, line },
        cause: error,
      },
    );
  }
}

function strings(value: unknown): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(strings);
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(strings) : [];
}
