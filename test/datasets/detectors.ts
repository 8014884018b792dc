import { eld } from 'eld/small';
import { franc } from 'franc-all';
import { canonicalLanguage, iso639Part3, primaryLanguage } from '../../src/text/language-tag.js';
import { IDENTIFIABLE } from '../../src/text/language.js';
import { proseOf } from '../../src/text/prose.js';

/** Two detectors that know nothing of each other. */
export const DETECTORS = ['eld', 'franc'] as const;
export type Detector = (typeof DETECTORS)[number];
export type Verdicts = Readonly<Record<Detector, string>>;

/** franc ranks 400 languages, many of them varieties that no text here is in: it chooses from those a mix can hold. */
const CHOICES = IDENTIFIABLE.map(iso639Part3);

/** What each detector takes a text's prose for, as language codes without a script; `und` for no verdict. */
export function detect(text: string): Verdicts {
  const prose = proseOf(text);
  const byEld = eld.detect(prose).language;
  return {
    // eld says "no" for what is nearly always Bokmål.
    eld: byEld === 'no' ? 'nb' : codeOf(byEld),
    franc: codeOf(franc(prose, { only: CHOICES })),
  };
}

export function codeOf(tag: string): string {
  return primaryLanguage(canonicalLanguage(tag));
}
