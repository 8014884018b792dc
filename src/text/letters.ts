/**
 * Letters that few languages write, with those that do. A text with one of them is probably not in a language without it:
 * what n-gram models of short text see too little of.
 */
const LETTERS: Readonly<Record<string, string>> = {
  ħ: 'mt',
  ġ: 'mt',
  ż: 'mt pl',
  ċ: 'mt',
  ß: 'de lb',
  ä: 'de sv fi et sk lb az',
  ö: 'de sv fi et hu is tr az',
  ü: 'de et hu tr az es ca lb',
  õ: 'et pt vi',
  å: 'sv da nb nn',
  æ: 'da nb nn is fr',
  ø: 'da nb nn',
  ð: 'is',
  þ: 'is',
  ő: 'hu',
  ű: 'hu',
  ř: 'cs',
  ě: 'cs',
  ů: 'cs',
  ľ: 'sk',
  ĺ: 'sk',
  ŕ: 'sk',
  ď: 'cs sk',
  ť: 'cs sk',
  ň: 'cs sk',
  ł: 'pl',
  ą: 'pl lt',
  ę: 'pl lt',
  ś: 'pl',
  ź: 'pl',
  ń: 'pl',
  ė: 'lt',
  į: 'lt',
  ų: 'lt',
  ū: 'lt lv',
  ā: 'lv',
  ē: 'lv',
  ī: 'lv',
  ģ: 'lv',
  ķ: 'lv',
  ļ: 'lv',
  ņ: 'lv',
  č: 'cs sk sl hr bs sr lt lv',
  š: 'cs sk sl hr bs sr lt lv et',
  ž: 'cs sk sl hr bs sr lt lv et',
  ć: 'hr bs sr pl',
  đ: 'hr bs sr vi',
  ă: 'ro vi',
  ș: 'ro',
  ț: 'ro',
  ş: 'tr az ku',
  ğ: 'tr az',
  ı: 'tr az',
  ə: 'az',
  ç: 'fr pt ca tr az sq ku',
  ñ: 'es gl eu tl',
  ơ: 'vi',
  ư: 'vi',
  ế: 'vi',
  ạ: 'vi',
  ŵ: 'cy',
  ŷ: 'cy',
  ĉ: 'eo',
  ŝ: 'eo',
  ŭ: 'eo',
  ọ: 'yo ig vi',
  ẹ: 'yo vi',
  ã: 'pt vi',
  œ: 'fr',
  ë: 'nl sq fr af lb',
  ы: 'ru be kk ky mn tt',
  э: 'ru be kk ky mn tg tt',
  ё: 'ru be mn tg',
  щ: 'ru uk bg kk ky tt',
  ъ: 'ru bg tg',
  і: 'uk be kk',
  ї: 'uk',
  є: 'uk',
  ґ: 'uk',
  ў: 'be',
  ђ: 'sr',
  ћ: 'sr',
  љ: 'sr mk',
  њ: 'sr mk',
  џ: 'sr mk',
  ј: 'sr mk',
  ѓ: 'mk',
  ќ: 'mk',
  ѕ: 'mk',
  ә: 'kk tt',
  қ: 'kk tg',
  ң: 'kk ky tt',
  ө: 'kk ky mn tt',
  ү: 'kk ky mn tt',
  ұ: 'kk',
  ӣ: 'tg',
  پ: 'fa ur ps ckb sd ug',
  چ: 'fa ur ps ckb sd ug',
  ژ: 'fa ur ps ckb ug',
  گ: 'fa ur ckb sd ug',
  ک: 'fa ur ps ckb sd',
  ی: 'fa ur ps ckb',
  ے: 'ur ps',
  ٹ: 'ur',
  ڈ: 'ur',
  ڑ: 'ur',
  ں: 'ur',
  ہ: 'ur',
  ة: 'ar',
  ى: 'ar ug',
  ټ: 'ps',
  ډ: 'ps',
  ړ: 'ps',
  ې: 'ps ug',
  ە: 'ckb ug',
  ێ: 'ckb',
  ڵ: 'ckb',
  ळ: 'mr',
  ৰ: 'as',
  ৱ: 'as',
};

const letters = Object.keys(LETTERS);
const writers = Object.values(LETTERS).map((languages) => new Set(languages.split(' ')));

/** Place among {@link LETTERS} + 1 per UTF-16 unit; 0 for letters that say nothing. */
const table = new Uint8Array(0x1_0000);
for (const [index, letter] of letters.entries()) table[letter.charCodeAt(0)] = index + 1;

/** An odd letter counts in full in a phrase, less in a paragraph: there it is a name. */
const PER_LETTER = 0.04;
const FULL_LENGTH = 100;
const MOST = 0.4;

/**
 * How much the letters of a text speak against each of the languages, 0 to 0.4. `text` is in lower case and NFC.
 */
export function letterPenalties(text: string, languages: readonly string[]): Float64Array {
  const times = new Uint32Array(letters.length + 1);
  for (let at = 0; at < text.length; at++) {
    const letter = table[text.charCodeAt(at)] ?? 0;
    times[letter] = (times[letter] ?? 0) + 1;
  }
  const foreign = foreignLetters(languages);
  const penalties = new Float64Array(languages.length);
  for (const [index, strange] of foreign.entries()) {
    const count = times[index + 1] ?? 0;
    if (count > 0) for (const language of strange) penalties[language] = (penalties[language] ?? 0) + count;
  }
  const weight = PER_LETTER * Math.min(1, FULL_LENGTH / text.length);
  return penalties.map((count) => Math.min(MOST, count * weight));
}

const foreignByLanguages = new WeakMap<readonly string[], readonly (readonly number[])[]>();

/** For every letter, the places of the languages that do not write it. */
function foreignLetters(languages: readonly string[]): readonly (readonly number[])[] {
  const known = foreignByLanguages.get(languages);
  if (known !== undefined) return known;
  const found = writers.map((set) => [...languages.keys()].filter((index) => !set.has(languages[index] ?? '')));
  foreignByLanguages.set(languages, found);
  return found;
}
