import { deflateRawSync } from 'node:zlib';

/** Below this many bytes a ratio says nothing, and a short refrain is no loop. */
const LEAST_BYTES = 500;

/** A sample of the text is enough to see a loop, and keeps long trajectories cheap. */
const MOST_CHARACTERS = 100_000;

/**
 * Deflated size over size. Prose and code stay above 0.2 in every script; of MoEQuant's published Mixtral set, 403 of 600
 * rows of looped tokens fall below 0.1.
 */
const LEAST_RATIO = 0.1;

/** Share of word n-grams that occurred before. Natural text stays under 0.15, logs and tables under a half. */
const NGRAM = 8;
const MOST_REPEATED = 0.6;
const LEAST_WORDS = 100;

/**
 * Share of windows of so many characters that occurred before, below which a text is not looked at more closely: deflating
 * it would cost as much as finding its language. Conversations of the built-in sets stay below a quarter, in every
 * language; records of agents at work reach a half.
 */
const WINDOW = 8;
const LEAST_REPEATED = 0.3;

/** Why a text is no text: looped, or built of one phrase. Null when it is neither. */
export function degenerate(text: string): string | null {
  const sample = text.length > MOST_CHARACTERS ? text.slice(0, MOST_CHARACTERS) : text;
  if (Buffer.byteLength(sample) < LEAST_BYTES || !repeatsItself(sample)) return null;
  const bytes = Buffer.from(sample);
  const ratio = deflateRawSync(bytes, { level: 1 }).length / bytes.length;
  if (ratio < LEAST_RATIO) return `compresses to ${(100 * ratio).toFixed(1)} %`;
  // Only text that compresses well can repeat itself much: most rows need no counting.
  if (ratio > 4 * LEAST_RATIO) return null;
  const repeated = repeatedShare(sample);
  return repeated > MOST_REPEATED ? `${(100 * repeated).toFixed(0)} % of its ${NGRAM}-grams are repeats` : null;
}

const MULTIPLIER = 0x0100_0193;
let marks = new Uint32Array(1 << 12);

/** Whether many of a text's windows occurred before, by their hashes: a collision counts as one, which only costs time. */
function repeatsItself(text: string): boolean {
  // Eight bits a window: one in nine is taken for a repetition at most.
  let words = 64;
  while (words * 32 < 8 * text.length) words *= 2;
  if (words > marks.length) marks = new Uint32Array(words);
  else marks.fill(0, 0, words);
  let power = 1;
  for (let at = 1; at < WINDOW; at++) power = Math.imul(power, MULTIPLIER);
  let rolling = 0;
  let repeated = 0;
  for (let at = 0; at < text.length; at++) {
    if (at >= WINDOW) rolling = (rolling - Math.imul(text.charCodeAt(at - WINDOW), power)) | 0;
    rolling = (Math.imul(rolling, MULTIPLIER) + text.charCodeAt(at)) | 0;
    if (at < WINDOW - 1) continue;
    const hash = Math.imul(rolling ^ (rolling >>> 15), 0x85eb_ca6b);
    const word = (hash >>> 5) & (words - 1);
    const bit = 1 << (hash & 31);
    const bits = marks[word] ?? 0;
    if ((bits & bit) !== 0) repeated++;
    else marks[word] = bits | bit;
  }
  return repeated > LEAST_REPEATED * text.length;
}

/** Share of word n-grams seen before in the same text; signs count as words where a script has no spaces. */
export function repeatedShare(text: string): number {
  const words =
    text.match(
      /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Khmer}\p{Script=Lao}\p{Script=Myanmar}]|[\p{L}\p{M}\p{N}]+|[^\s\p{L}\p{N}]/gu,
    ) ?? [];
  if (words.length < LEAST_WORDS) return 0;
  const seen = new Set<string>();
  const grams = words.length - NGRAM + 1;
  for (let start = 0; start < grams; start++) seen.add(words.slice(start, start + NGRAM).join(' '));
  return 1 - seen.size / grams;
}

/** Share of U+FFFD from which a text counts as wrongly decoded: one in ten thousand characters. */
const MOST_REPLACEMENTS = 1e-4;

/** Why a text was decoded wrongly, or null. */
export function wronglyDecoded(text: string): string | null {
  let count = 0;
  for (let at = text.indexOf('\uFFFD'); at !== -1; at = text.indexOf('\uFFFD', at + 1)) count++;
  return count > MOST_REPLACEMENTS * text.length ? `${count} U+FFFD in ${text.length} characters` : null;
}
