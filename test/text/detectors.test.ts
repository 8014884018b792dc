import { readFileSync } from 'node:fs';
import { eld } from 'eld/small';
import { assert, property, string } from 'fast-check';
import { francAll } from 'franc-all';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ELD_LANGUAGES, eldScores } from '../../src/text/eld-scores.js';
import { francScores } from '../../src/text/franc-scores.js';
import { iso639Part3 } from '../../src/text/language-tag.js';
import { proseOf } from '../../src/text/prose.js';
import { SCRIPTS, scriptsOf } from '../../src/text/script.js';

const rowSchema = z.object({ messages: z.array(z.object({ content: z.string().nullable() })) });
const texts = ['languages', 'multilingual-dialogues'].flatMap((set) =>
  readFileSync(`datasets/${set}/${set}.jsonl`, 'utf8')
    .trim()
    .split('\n')
    .flatMap((line) => rowSchema.parse(JSON.parse(line)).messages.map(({ content }) => proseOf(content ?? ''))),
);

describe('eldScores()', () => {
  /** eld itself reads no further than some 350 bytes, so that short texts are compared. */
  const same = (text: string) => {
    const wanted = eld.detect(text).getScores();
    const got = eldScores(text);
    for (const [index, language] of ELD_LANGUAGES.entries()) {
      expect(got[index], `${language} of ${JSON.stringify(text)}`).toBeCloseTo(wanted[language] ?? 0, 12);
    }
  };

  it('are those of eld on rows of every language', () => {
    for (const text of texts) same(text.slice(0, 100));
  });

  it('are those of eld on words with apostrophes, capitals that are two letters, and overlong ones', () => {
    for (const text of ["don't 'tis l’été rock'n'roll '", 'İstanbul’da İYİ', 'a'.repeat(200), `x${'ß'.repeat(90)}`, ''])
      same(text);
  });

  it('are those of eld on anything', () => {
    assert(property(string({ unit: 'grapheme', maxLength: 40 }), same));
  });

  it('go on where eld stops reading', () => {
    const [greek, german] = ['Το τρένο φεύγει στις εννιά. '.repeat(20), 'Der Zug fährt um neun Uhr ab. '.repeat(20)];
    const of = (language: string, text: string) => eldScores(text)[ELD_LANGUAGES.indexOf(language)] ?? 0;
    expect(of('de', greek + german)).toBeGreaterThan(of('de', greek));
  });
});

describe('francScores()', () => {
  it('are those of franc with an allow-list, in every script of several languages', () => {
    const compared = new Set<string>();
    for (const text of texts) {
      const [main] = scriptsOf(text);
      if (main === undefined) continue;
      const wanted = new Map(francAll(text, { only: main.languages.map(iso639Part3), minLength: 1 }));
      // franc has no trigrams for a script of which it knows one language.
      if (main.languages.filter((language) => wanted.has(iso639Part3(language))).length < 2) continue;
      compared.add(main.name);
      const got = francScores(text, main.name, main.languages);
      for (const language of main.languages) {
        expect(got.get(language), language).toEqual(wanted.get(iso639Part3(language)));
      }
    }
    expect([...compared].sort()).toEqual(['Arab', 'Cyrl', 'Deva', 'Hebr', 'Latn']);
  });

  it('give the best of the languages asked for 1', () => {
    const [latin] = SCRIPTS.filter(({ name }) => name === 'Latn');
    const scores = francScores('Tá an aimsir go breá inniu agus táim ag dul amach', 'Latn', latin?.languages ?? []);
    expect(scores.get('ga')).toBe(1);
  });
});
