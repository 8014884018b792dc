/**
 * Accuracy of language identification per language on text of 30, 100 and 400 letters: the labelled rows of
 * `builtin:languages` and `builtin:multilingual-dialogues`, cut at word boundaries, none overlapping.
 *
 *   npx tsx bench/language-identification.ts [--errors]
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { agrees, identifyProse } from '../src/text/language.js';
import { canonicalLanguage, languageName } from '../src/text/language-tag.js';
import { proseOf } from '../src/text/prose.js';

const LENGTHS = [30, 100, 400] as const;
const MOST_CHUNKS = 200;
const showErrors = process.argv.includes('--errors');

const rowSchema = z.object({
  language: z.string(),
  messages: z.array(z.object({ role: z.string(), content: z.string().nullable() })),
});

const prose = new Map<string, string[]>();
for (const set of ['languages', 'multilingual-dialogues']) {
  const path = new URL(`../datasets/${set}/${set}.jsonl`, import.meta.url);
  for (const line of readFileSync(path, 'utf8').trim().split('\n')) {
    const row = rowSchema.parse(JSON.parse(line));
    const language = canonicalLanguage(row.language);
    const texts = row.messages
      .filter(({ role }) => role !== 'tool' && role !== 'system')
      .map(({ content }) => proseOf(content ?? ''));
    prose.set(language, [...(prose.get(language) ?? []), ...texts]);
  }
}

function chunks(text: string, length: number): string[] {
  const found: string[] = [];
  for (let start = 0; start + length <= text.length;) {
    const space = text.indexOf(' ', start + length);
    const end = space === -1 || space > start + length + 20 ? start + length : space;
    found.push(text.slice(start, end));
    start = end + 1;
  }
  return found;
}

const totals = LENGTHS.map(() => ({ right: 0, undetermined: 0, all: 0 }));
const started = performance.now();
let characters = 0;
console.log(`| language | ${LENGTHS.map((length) => `${length} letters`).join(' | ')} |`);
console.log(`|---|${LENGTHS.map(() => '---:').join('|')}|`);
for (const [language, texts] of [...prose].sort(([a], [b]) => (a < b ? -1 : 1))) {
  const cells = LENGTHS.map((length, index) => {
    const all = texts.flatMap((text) => chunks(text, length));
    const step = Math.max(1, all.length / MOST_CHUNKS);
    const taken = Array.from(
      { length: Math.min(all.length, MOST_CHUNKS) },
      (_, at) => all[Math.floor(at * step)] ?? '',
    );
    let right = 0;
    const wrong = new Map<string, number>();
    for (const chunk of taken) {
      const found = identifyProse(chunk);
      characters += chunk.length;
      if (agrees(language, found)) right++;
      else {
        wrong.set(found.language, (wrong.get(found.language) ?? 0) + 1);
        if (showErrors) console.log(`  ${language} → ${found.language} (${found.margin.toFixed(3)}): ${chunk}`);
      }
    }
    const total = totals[index];
    if (total !== undefined) {
      total.right += right;
      total.all += taken.length;
    }
    if (taken.length === 0) return '–';
    const [mistaken] = [...wrong].sort(([, a], [, b]) => b - a);
    return `${((100 * right) / taken.length).toFixed(1)}${mistaken === undefined ? '' : ` (${mistaken[0]} ${mistaken[1]})`} of ${taken.length}`;
  });
  console.log(`| ${language} ${languageName(language)} | ${cells.join(' | ')} |`);
}
console.log(`| all | ${totals.map(({ right, all }) => ((100 * right) / all).toFixed(2)).join(' | ')} |`);
const seconds = (performance.now() - started) / 1000;
console.log(`\n${(characters / seconds / 1e6).toFixed(2)} million characters a second`);
