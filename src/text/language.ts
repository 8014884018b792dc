import { ELD_LANGUAGES, eldScores } from './eld-scores.js';
import { francScores } from './franc-scores.js';
import { canonicalLanguage } from './language-tag.js';
import { letterPenalties } from './letters.js';
import { proseOf } from './prose.js';
import { chineseScript, SCRIPTS, scriptsOf, type ScriptName, type ScriptShare } from './script.js';

/** What a text is written in, as far as its letters tell. */
export interface Identification {
  /** Canonical tag, or `und` where the text is too short or two languages are too close. */
  readonly language: string;
  /** Languages that the text could be in as well: members of one confusable group, on a low margin. */
  readonly alternatives: readonly string[];
  /** Distance between the best and the next score, 0 to 1; 1 where the script decides. */
  readonly margin: number;
  /** Letters of prose that were looked at. */
  readonly letters: number;
}

/** Fewer letters of prose than this identify nothing; a logographic or syllabic sign says more than an alphabetic one. */
export const LEAST_LETTERS = 20;
const LEAST_SIGNS = 6;
const DENSE_SCRIPTS = new Set(['Hani', 'Kana', 'Hang']);

/** A script needs this share of the letters to be the text's; below, the text is mixed. */
const MAIN_SCRIPT_SHARE = 0.5;

/**
 * Characters that detectors are given: at 400 they no longer err. Longer texts are sampled from all over, or an opening
 * would decide, as it does in franc, which reads the first 2,048, and in eld, which reads 350 bytes.
 */
const READ = 400;
const SLICES = 4;

/** Languages that differ in vocabulary more than in spelling: told apart only on a clear margin. */
export const CONFUSABLE_GROUPS: readonly (readonly string[])[] = [
  ['hr', 'bs', 'sr'],
  ['nb', 'nn', 'da'],
  ['ms', 'id'],
  ['gl', 'pt'],
  ['af', 'nl'],
];
const CLEAR_MARGIN = 0.02;

/**
 * Weight of franc's trigrams against eld's n-grams. eld is nearly right from the first words on but knows 60 languages;
 * franc knows all of ours and wants text: it decides among those eld does not know, and where eld is in doubt. Both
 * figures were chosen on the rows that bench/language-identification.ts measures.
 */
const FRANC_WEIGHT = 0.12;

/** What stands for eld's score in languages it does not know: a middling one, which a known language beats when it fits. */
const UNKNOWN_TO_ELD = 0.66;
const ELD_NAMES: Readonly<Record<string, string>> = { nb: 'no', nn: 'no', id: 'ms', bs: 'hr' };

/** Smaller languages beside a large one that their speakers' texts are mistaken for need to win by this much. */
const HANDICAPS: Readonly<Record<string, number>> = {
  bs: 0.03,
  nn: 0.02,
  gl: 0.03,
  af: 0.02,
  lb: 0.03,
  eo: 0.03,
  ku: 0.03,
  xh: 0.02,
  ha: 0.03,
  ig: 0.03,
  mg: 0.03,
  rw: 0.03,
  so: 0.03,
  yo: 0.03,
};

/** Identifies the language of a text; code, tags, URLs and the like are taken out first. */
export function identifyLanguage(text: string): Identification {
  return identifyProse(proseOf(text));
}

/** {@link identifyLanguage} of text that is prose already. */
export function identifyProse(prose: string): Identification {
  const scripts = scriptsOf(prose);
  const letters = scripts.reduce((sum, script) => sum + script.letters, 0);
  const main = scripts[0];
  const undetermined: Identification = { language: 'und', alternatives: [], margin: 0, letters };
  if (main === undefined || main.letters < MAIN_SCRIPT_SHARE * letters) return undetermined;
  if (main.letters < (DENSE_SCRIPTS.has(main.name) ? LEAST_SIGNS : LEAST_LETTERS)) return undetermined;
  const only = main.languages.length === 1 ? main.languages[0] : undefined;
  if (only !== undefined) return { ...undetermined, language: withScript(only, main, prose), margin: 1 };
  const ranked = rank(sample(prose), main);
  const [best, next] = ranked;
  if (best === undefined) return undetermined;
  const margin = next === undefined ? 1 : best.score - next.score;
  const group = CONFUSABLE_GROUPS.find((members) => members.includes(best.language));
  const alternatives = ranked
    .filter(
      ({ language, score }) =>
        group?.includes(language) === true && language !== best.language && best.score - score < CLEAR_MARGIN,
    )
    .map(({ language }) => withScript(language, main, prose));
  return { language: withScript(best.language, main, prose), alternatives, margin, letters };
}

/** Whether a declared language agrees with what was identified: equal, or one of a group that cannot be told apart here. */
export function agrees(declared: string, found: Identification): boolean {
  const tag = canonicalLanguage(declared);
  return [found.language, ...found.alternatives].some((language) => language === tag || sameLanguage(language, tag));
}

/** Tags of one language, unless both name a script and the scripts differ. */
function sameLanguage(a: string, b: string): boolean {
  const [languageA, scriptA] = a.split('-');
  const [languageB, scriptB] = b.split('-');
  return languageA === languageB && (scriptA === undefined || scriptB === undefined || scriptA === scriptB);
}

function withScript(language: string, script: ScriptShare, prose: string): string {
  if (language === 'sr') return script.name === 'Cyrl' ? 'sr-Cyrl' : 'sr-Latn';
  if (language !== 'zh') return language;
  const written = chineseScript(prose);
  return written === null ? 'zh' : `zh-${written}`;
}

interface Scored {
  readonly language: string;
  readonly score: number;
}

/** What ranking needs to know of the languages of a script, in their order. */
interface Contest {
  /** Index among eld's scores, −1 where it does not know the language. */
  readonly eld: Int16Array;
  readonly handicaps: Float64Array;
}

const contests = new Map<ScriptName, Contest>(
  SCRIPTS.map(({ name, languages }): [ScriptName, Contest] => [
    name,
    {
      eld: Int16Array.from(languages, (language) => ELD_LANGUAGES.indexOf(ELD_NAMES[language] ?? language)),
      handicaps: Float64Array.from(languages, (language) => HANDICAPS[language] ?? 0),
    },
  ]),
);

/**
 * Languages by falling score: eld's, less what letters say against it, plus franc's part, which is asked for only among
 * the languages that it could bring to the top.
 */
function rank(prose: string, { name, languages }: ScriptShare): Scored[] {
  const { eld, handicaps } = contests.get(name) ?? { eld: new Int16Array(0), handicaps: new Float64Array(0) };
  const byEld = eldScores(prose);
  const penalties = letterPenalties(prose.toLowerCase().normalize('NFC'), languages);
  const scores = new Float64Array(languages.length);
  let [best, next] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let at = 0; at < languages.length; at++) {
    const score =
      (1 - FRANC_WEIGHT) * (byEld[eld[at] ?? -1] ?? UNKNOWN_TO_ELD) - (penalties[at] ?? 0) - (handicaps[at] ?? 0);
    scores[at] = score;
    if (score > best) [best, next] = [score, best];
    else if (score > next) next = score;
  }
  const least = Math.min(next, best - FRANC_WEIGHT);
  const contenders = languages.flatMap((language, at) => {
    const score = scores[at] ?? 0;
    return score >= least ? [{ language, score }] : [];
  });
  if (next < best - FRANC_WEIGHT) return contenders.sort((x, y) => y.score - x.score);
  const franc = francScores(
    prose,
    name,
    contenders.map(({ language }) => language),
  );
  return contenders
    .map(({ language, score }) => ({ language, score: score + FRANC_WEIGHT * (franc.get(language) ?? 0) }))
    .sort((x, y) => y.score - x.score);
}

/** At most what is read, in slices from beginning to end, cut at spaces. */
function sample(prose: string): string {
  if (prose.length <= READ) return prose;
  const length = Math.floor(READ / SLICES);
  const slices = Array.from({ length: SLICES }, (_, index) => {
    const start = Math.floor(((prose.length - length) * index) / (SLICES - 1));
    const slice = prose.slice(start, start + length);
    return index === 0 ? slice : slice.slice(slice.indexOf(' ') + 1);
  });
  return slices.join(' ');
}

/** Every language that identification can name. */
export const IDENTIFIABLE: readonly string[] = [...new Set(SCRIPTS.flatMap(({ languages }) => languages))];
