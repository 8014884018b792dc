import { data } from 'franc-all/data.js';
import { iso639Part3 } from './language-tag.js';
import { createNgramCounter, createNgramTable, END, START, type NgramEntries, type NgramTable } from './ngram-table.js';
import { SCRIPTS, type ScriptName } from './script.js';

/** franc's constants: what a trigram costs that a language does not have, and the characters that are read. */
const MAX_DIFFERENCE = 300;
const MOST_CHARACTERS = 2_048;

const counter = createNgramCounter(MOST_CHARACTERS + 2);

interface Trigrams {
  /** Value: the trigram's rank among those of the language, from 0. */
  readonly table: NgramTable;
  /** The number of a language in the table, by our tags; only those that franc has. */
  readonly numbers: ReadonlyMap<string, number>;
}

const byScript = new Map<ScriptName, Trigrams>();

/**
 * franc's scores with an allow-list, 1 for the best of them: its trigrams under a loop of our own, which looks every
 * trigram up once, in all languages, and knows the script already. The scores are those of `francAll(text, {only})`.
 */
export function francScores(text: string, script: ScriptName, only: readonly string[]): Map<string, number> {
  const { table, numbers } = trigramsOf(script);
  const read = text.slice(0, MOST_CHARACTERS);
  countTrigrams(read.toLowerCase());
  const gains = new Float64Array(numbers.size);
  const { size, highs, lows, counts } = counter;
  const { slots, entries } = table;
  for (let at = 0; at < size; at++) {
    const slot = table.find(highs[at] ?? 0, lows[at] ?? 0);
    const end = slots[slot + END] ?? 0;
    for (let entry = slots[slot + START] ?? 0; entry < end; entry += 2) {
      const language = entries[entry] ?? 0;
      const difference = Math.abs((counts[at] ?? 0) - (entries[entry + 1] ?? 0) - 1);
      gains[language] = (gains[language] ?? 0) + MAX_DIFFERENCE - difference;
    }
  }
  const distances = only.flatMap((language) => {
    const number = numbers.get(language);
    return number === undefined ? [] : [{ language, distance: size * MAX_DIFFERENCE - (gains[number] ?? 0) }];
  });
  const least = distances.reduce((min, { distance }) => Math.min(min, distance), Number.POSITIVE_INFINITY);
  const most = read.length * MAX_DIFFERENCE - least;
  return new Map(distances.map(({ language, distance }) => [language, 1 - (distance - least) / most || 0]));
}

/** As franc cleans: signs and digits of ASCII are spaces, white space is one space, and one stands at either end. */
function countTrigrams(lower: string): void {
  counter.clear();
  let [first, second] = [0, SPACE];
  const push = (unit: number) => {
    if (first !== 0) counter.add(((first << 16) | second) >>> 0, unit);
    first = second;
    second = unit;
  };
  let space = false;
  for (let at = 0; at < lower.length; at++) {
    const unit = lower.charCodeAt(at);
    if (unit < 0x41 ? unit > SPACE || isSpace(unit) : unit >= 0xa0 && isSpace(unit)) {
      space = true;
      continue;
    }
    if (space && (first !== 0 || second !== SPACE)) push(SPACE);
    space = false;
    push(unit);
  }
  push(SPACE);
}

const SPACE = 0x20;

/** White space, as `\s` has it. */
function isSpace(unit: number): boolean {
  if (unit < 0x2000) return unit === SPACE || (unit >= 9 && unit <= 13) || unit === 0xa0 || unit === 0x1680;
  if (unit < 0x2030) return unit <= 0x200a || unit === 0x2028 || unit === 0x2029 || unit === 0x202f;
  return unit === 0x205f || unit === 0x3000 || unit === 0xfeff;
}

function trigramsOf(script: ScriptName): Trigrams {
  const known = byScript.get(script);
  if (known !== undefined) return known;
  const { property, languages } = SCRIPTS.find(({ name }) => name === script) ?? { property: '', languages: [] };
  const models = data[property] ?? {};
  const entries: NgramEntries = { highs: [], lows: [], languages: [], values: [], distinct: 0 };
  const distinct = new Set<string>();
  const numbers = new Map<string, number>();
  for (const language of languages) {
    const model = models[iso639Part3(language)];
    if (model === undefined) continue;
    const number = numbers.size;
    numbers.set(language, number);
    // Of a trigram listed twice franc keeps the first.
    const ranks = new Map(
      model
        .split('|')
        .map((trigram, rank): [string, number] => [trigram, rank])
        .toReversed(),
    );
    for (const [trigram, rank] of ranks) {
      distinct.add(trigram);
      entries.highs.push(((trigram.charCodeAt(0) << 16) | trigram.charCodeAt(1)) >>> 0);
      entries.lows.push(trigram.charCodeAt(2));
      entries.languages.push(number);
      entries.values.push(rank);
    }
  }
  entries.distinct = distinct.size;
  const trigrams = { table: createNgramTable(entries), numbers };
  byScript.set(script, trigrams);
  return trigrams;
}
