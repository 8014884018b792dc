/**
 * Writing systems, by their Unicode `Script` property, with the one language each stands for or those it is shared by.
 * A script of one language settles the question; the others leave it to n-grams.
 */
export const SCRIPTS = [
  { name: 'Grek', property: 'Greek', languages: ['el'] },
  { name: 'Geor', property: 'Georgian', languages: ['ka'] },
  { name: 'Armn', property: 'Armenian', languages: ['hy'] },
  { name: 'Thai', property: 'Thai', languages: ['th'] },
  { name: 'Laoo', property: 'Lao', languages: ['lo'] },
  { name: 'Khmr', property: 'Khmer', languages: ['km'] },
  { name: 'Mymr', property: 'Myanmar', languages: ['my'] },
  { name: 'Sinh', property: 'Sinhala', languages: ['si'] },
  { name: 'Taml', property: 'Tamil', languages: ['ta'] },
  { name: 'Telu', property: 'Telugu', languages: ['te'] },
  { name: 'Knda', property: 'Kannada', languages: ['kn'] },
  { name: 'Mlym', property: 'Malayalam', languages: ['ml'] },
  { name: 'Gujr', property: 'Gujarati', languages: ['gu'] },
  { name: 'Guru', property: 'Gurmukhi', languages: ['pa'] },
  { name: 'Orya', property: 'Oriya', languages: ['or'] },
  { name: 'Tibt', property: 'Tibetan', languages: ['bo'] },
  { name: 'Thaa', property: 'Thaana', languages: ['dv'] },
  { name: 'Hang', property: 'Hangul', languages: ['ko'] },
  { name: 'Kana', property: 'Hiragana}\\p{Script=Katakana', languages: ['ja'] },
  { name: 'Hani', property: 'Han', languages: ['zh'] },
  { name: 'Beng', property: 'Bengali', languages: ['bn', 'as'] },
  { name: 'Hebr', property: 'Hebrew', languages: ['he', 'yi'] },
  { name: 'Ethi', property: 'Ethiopic', languages: ['am', 'ti'] },
  { name: 'Deva', property: 'Devanagari', languages: ['hi', 'mr', 'ne'] },
  { name: 'Arab', property: 'Arabic', languages: ['ar', 'fa', 'ur', 'ps', 'ckb', 'sd', 'ug'] },
  { name: 'Cyrl', property: 'Cyrillic', languages: ['ru', 'uk', 'be', 'bg', 'mk', 'sr', 'kk', 'ky', 'mn', 'tg', 'tt'] },
  {
    name: 'Latn',
    property: 'Latin',
    languages: (
      'en es fr de pt it nl sv da nb nn is fi et lv lt pl cs sk sl hr bs sr hu ro sq mt ga cy eu ca gl tr az uz vi id ms tl ' +
      'sw so ha yo ig zu xh rw mg af eo lb ku'
    ).split(' '),
  },
] as const satisfies readonly { name: string; property: string; languages: readonly string[] }[];

export type ScriptName = (typeof SCRIPTS)[number]['name'];

const names = SCRIPTS.map(({ name }) => name);
const languagesOf: readonly (readonly string[])[] = SCRIPTS.map(({ languages }) => languages);
const matchers = SCRIPTS.map(({ property }) => new RegExp(`^[\\p{Script=${property}}]$`, 'u'));

/** Script number + 1 per UTF-16 unit, filled as units are met; beyond the BMP there is no script of the table but Han. */
const UNSEEN = 255;
const table = new Uint8Array(0x1_0000).fill(UNSEEN);

function lookUp(unit: number): number {
  const character = String.fromCharCode(unit);
  const number = matchers.findIndex((matcher) => matcher.test(character)) + 1;
  table[unit] = number;
  return number;
}

/** Signs that Japanese uses and Chinese does not count as Han too: kana decide before Han is asked. */
const LEAST_KANA_SHARE = 0.05;

export interface ScriptShare {
  readonly name: ScriptName;
  readonly languages: readonly string[];
  readonly letters: number;
}

/** The scripts of a text by falling number of letters; Han with kana beside it is Japanese, with Hangul Korean. */
export function scriptsOf(text: string): ScriptShare[] {
  const units = new Uint32Array(names.length + 1);
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    let number = table[unit] ?? 0;
    if (number === UNSEEN) number = lookUp(unit);
    units[number] = (units[number] ?? 0) + 1;
  }
  const counts = names
    .map((name, index) => ({ name, languages: languagesOf[index] ?? [], letters: units[index + 1] ?? 0 }))
    .filter((count) => count.letters > 0);
  const han = counts.find(({ name }) => name === 'Hani');
  const host = counts.find(
    ({ name, letters }) =>
      (name === 'Kana' || name === 'Hang') && han !== undefined && letters > LEAST_KANA_SHARE * han.letters,
  );
  const merged =
    han === undefined || host === undefined
      ? counts
      : counts
          .filter(({ name }) => name !== 'Hani')
          .map((count) => (count === host ? { ...count, letters: count.letters + han.letters } : count));
  return merged.sort((a, b) => b.letters - a.letters);
}

/** Characters of everyday words that were simplified: each writes one script only. */
const SIMPLIFIED =
  /[们这个说时会对为国来学还过发经产动实开问进现长书马车见贝让认识话语谁请门间东乐习买卖头岁两严丽么义乌乡云亚从众优]/gu;
const TRADITIONAL =
  /[們這個說時會對為國來學還過發經產動實開問進現長書馬車見貝讓認識話語誰請門間東樂習買賣頭歲兩嚴麗麼義烏鄉雲亞從眾優]/gu;

/** `Hans` or `Hant` by the characters that only one of them has; null when there are none. */
export function chineseScript(text: string): 'Hans' | 'Hant' | null {
  const simplified = text.match(SIMPLIFIED)?.length ?? 0;
  const traditional = text.match(TRADITIONAL)?.length ?? 0;
  if (simplified === traditional) return null;
  return simplified > traditional ? 'Hans' : 'Hant';
}
