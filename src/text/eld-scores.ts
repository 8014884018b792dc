import { readFile } from 'node:fs/promises';
import { createNgramCounter, createNgramTable, END, START, type NgramEntries, type NgramTable } from './ngram-table.js';

/** eld's constants: added to every stored score, and the score per n-gram at which a language is given one half. */
const BASE_SCORE = 53;
const HALF_SCORE = 25;

/** Bytes of an n-gram, and how far the next one begins from it. */
const NGRAM = 4;
const STRIDE = 3;

/** Bytes of a word from which n-grams are taken. */
const MOST_WORD_BYTES = 70;

/** Beside its length: whether an n-gram begins its word, ends it, or stands for the rest of a word too long to read. */
const STARTS = 8;
const ENDS = 16;
const CUT = 32;

/** Characters that are read; eld itself stops after some 350 bytes, which of Cyrillic is 175 letters. */
const MOST_CHARACTERS = 1_000;

/**
 * The small tables of eld (Efficient Language Detector) under a loop of our own over typed arrays: the same scores in a
 * tenth of the time, and of texts as long as one likes.
 */
const { source: ngramSource, dictionary: letters, languages, separators } = await openTables();
let loaded: NgramTable | null = null;

/** Languages that eld knows; a score's index is the place here. */
export const ELD_LANGUAGES: readonly string[] = languages;

const counter = createNgramCounter(3 * MOST_CHARACTERS);
const word = new Uint8Array(5 * MOST_CHARACTERS);
let length = 0;

/** What a UTF-16 unit is to eld: itself in lower case, or one of these. */
const SEPARATOR = 0;
const APOSTROPHE = 1;
const UNSEEN = 0xffff;
const units = new Uint16Array(0x1_0000).fill(UNSEEN);

function lookUp(unit: number): number {
  const character = String.fromCharCode(unit);
  const isLetter = character.replace(separators, '') !== '';
  const found = /['`’]/u.test(character) ? APOSTROPHE : isLetter ? character.toLowerCase().charCodeAt(0) : SEPARATOR;
  units[unit] = found;
  return found;
}

/** eld's score of every language for a text, 0 to 1, by index into {@link ELD_LANGUAGES}. */
export function eldScores(text: string): Float64Array {
  const end = Math.min(text.length, MOST_CHARACTERS);
  counter.clear();
  length = 0;
  // Apostrophes are the word's only when a letter follows them, or the text's end.
  let certain = 0;
  for (let at = 0; at < end; at++) {
    const unit = text.charCodeAt(at);
    let lower = units[unit] ?? SEPARATOR;
    if (lower === UNSEEN) lower = lookUp(unit);
    if (lower === SEPARATOR) {
      addWord(certain);
      length = 0;
      certain = 0;
    } else if (lower === APOSTROPHE) {
      append(unit);
    } else {
      append(lower);
      if (unit === CAPITAL_DOTTED_I) append(DOT_ABOVE);
      certain = length;
    }
  }
  addWord(length);
  return scoresOf();
}

/** The one letter that is two in lower case. */
const CAPITAL_DOTTED_I = 0x130;
const DOT_ABOVE = 0x307;

/** The word's UTF-8 bytes; surrogates are separators to eld and never come here. */
function append(unit: number): void {
  if (unit < 0x80) {
    word[length++] = unit;
  } else if (unit < 0x800) {
    word[length++] = 0xc0 | (unit >> 6);
    word[length++] = 0x80 | (unit & 0x3f);
  } else {
    word[length++] = 0xe0 | (unit >> 12);
    word[length++] = 0x80 | ((unit >> 6) & 0x3f);
    word[length++] = 0x80 | (unit & 0x3f);
  }
}

/** Every third run of four bytes and the last four; a word's first n-gram and its last know that they are. */
function addWord(bytes: number): void {
  if (bytes === 0) return;
  const read = Math.min(bytes, MOST_WORD_BYTES);
  let at = 0;
  for (; at + NGRAM < read; at += STRIDE) addNgram(at, NGRAM, at === 0 ? STARTS : 0);
  addNgram(Math.max(read - NGRAM, 0), Math.min(read, NGRAM), (at === 0 ? STARTS : 0) | (bytes > read ? CUT : ENDS));
}

function addNgram(from: number, bytes: number, ends: number): void {
  let high = 0;
  for (let at = 0; at < bytes; at++) high = (high << 8) | (word[from + at] ?? 0);
  counter.add(high >>> 0, bytes | ends);
}

function scoresOf(): Float64Array {
  const scores = new Float64Array(languages.length);
  const { size, highs, lows } = counter;
  const table = (loaded ??= loadTable());
  const { slots, entries } = table;
  for (let at = 0; at < size; at++) {
    const slot = table.find(highs[at] ?? 0, lows[at] ?? 0);
    const end = slots[slot + END] ?? 0;
    for (let entry = slots[slot + START] ?? 0; entry < end; entry += 2) {
      const language = entries[entry] ?? 0;
      scores[language] = (scores[language] ?? 0) + (entries[entry + 1] ?? 0);
    }
  }
  for (const [language, sum] of scores.entries()) {
    const perNgram = size === 0 ? 0 : sum / size;
    scores[language] = perNgram / (perNgram + HALF_SCORE);
  }
  return scores;
}

/** Opens eld's files, which its exports do not name. */
async function openTables() {
  const main = import.meta.resolve('eld/small');
  const source = await readFile(new URL('../ngrams/small.js', main), 'utf8');
  const { dictionary } = (await import(new URL('../dictionary.js', main).href)) as { dictionary: readonly string[] };
  const patterns = (await import(new URL('../regexPatterns.js', main).href)) as { separators: RegExp };
  const names = /languages:\{([^}]*)\}/u.exec(source)?.[1] ?? '';
  return {
    source,
    dictionary,
    languages: Array.from(names.matchAll(/'(\w+)'/gu), ([, name = '']) => name),
    separators: patterns.separators,
  };
}

/**
 * Reads the n-grams, a tenth of a second's work, when a text is first judged by them. Read as text: as the module that
 * they are, their 81,000 objects would stay in the memory of every thread.
 */
function loadTable(): NgramTable {
  // eld writes a byte that is no letter of ASCII as some character of its own.
  const bytes = new Map(letters.flatMap((character, byte) => (character === ' ' ? [] : [[character, byte] as const])));
  const entries: NgramEntries = { highs: [], lows: [], languages: [], values: [], distinct: 0 };
  // n-gram → language number → score above BASE_SCORE: ' abc':{0:12,7:30},defg:{3:4}
  const ngrams = /(?:'((?:[^'\\]|\\.)+)'|([^\s'{},:]+)):\{([\d:,]+)\}/gu;
  ngrams.lastIndex = ngramSource.indexOf('ngrams:{') + 'ngrams:{'.length;
  for (let match = ngrams.exec(ngramSource); match !== null; match = ngrams.exec(ngramSource)) {
    const [, quoted, bare = '', scores = ''] = match;
    const ngram = quoted?.replaceAll('\\', '') ?? bare;
    const inner = ngram.trim();
    const high = Array.from(inner).reduce((packed, character) => (packed << 8) | (bytes.get(character) ?? 0), 0);
    const low = inner.length | (ngram.startsWith(' ') ? STARTS : 0) | (ngram.endsWith(' ') ? ENDS : 0);
    entries.distinct++;
    for (const pair of scores.split(',')) {
      const [language, score] = pair.split(':');
      entries.highs.push(high);
      entries.lows.push(low);
      entries.languages.push(Number(language));
      entries.values.push(Number(score) + BASE_SCORE);
    }
  }
  return createNgramTable(entries);
}
