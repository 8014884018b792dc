/**
 * Codes that ICU's alias table leaves alone: members of macrolanguages under their individual ISO 639-3 codes, where data
 * sets and detectors use both. Everything else (ekk, lvs, cmn, arb, pes, zsm, nob, als, swh, npi, uzn, azj, …) ICU knows.
 */
const INDIVIDUAL_CODES: Readonly<Record<string, string>> = {
  zlm: 'ms',
  quy: 'qu',
  quz: 'qu',
  ayr: 'ay',
  pbu: 'ps',
  pbt: 'ps',
  fuv: 'ff',
  knc: 'kr',
  bcc: 'bal',
  tgl: 'tl',
  fil: 'tl',
  pnb: 'pnb',
  hbs: 'sh',
};

/** Regions say which script Chinese is in; no other region changes how a language is written or counted. */
const CHINESE_SCRIPTS: Readonly<Record<string, string>> = {
  CN: 'Hans',
  SG: 'Hans',
  TW: 'Hant',
  HK: 'Hant',
  MO: 'Hant',
};

/** Languages that need their script said, because data in both is common. */
const SEVERAL_SCRIPTS = new Set([
  'zh',
  'sr',
  'uz',
  'az',
  'kk',
  'mn',
  'pa',
  'ku',
  'bs',
  'tt',
  'ug',
  'sd',
  'ks',
  'tg',
  'tk',
  'ky',
]);

const englishNames = new Intl.DisplayNames(['en'], { type: 'language', fallback: 'none' });

/** No English name of a language is as short as a tag of two letters. */
const TAG_LENGTH = 2;

let namedCodes: ReadonlyMap<string, string> | null = null;

/** English names that data sets write instead of a tag, in lower case. Made when first asked: it takes ten milliseconds. */
function codesByName(): ReadonlyMap<string, string> {
  return (namedCodes ??= new Map(
    NAMED_CODES.split(' ').map((code) => [(englishNames.of(code) ?? code).toLowerCase(), code]),
  ));
}

const NAMED_CODES =
  'af am ar as az be bg bn bo bs ca ceb cs cy da de el en eo es et eu fa fi fr ga gd gl gu ha he hi hr ht hu hy id ig is it ' +
  'ja jv ka kk km kn ko ku ky la lb lo lt lv mg mi mk ml mn mr ms mt my nb ne nl nn no ny or pa pl ps pt ro ru rw sd si ' +
  'sk sl sm sn so sq sr st su sv sw ta te tg th tk tl tr tt ug uk ur uz vi xh yi yo yue zh zu';

/**
 * One spelling per language: the shortest BCP 47 tag, with a script only where the language has several and one is said.
 * Takes BCP 47, ISO 639-3 (individual codes too), `el_GR` and English names; `und` for what names no language.
 *
 * @example canonicalLanguage('ekk') → 'et'; 'zho-Hans' → 'zh-Hans'; 'zh-TW' → 'zh-Hant'; 'en-US' → 'en'; 'Greek' → 'el'
 */
export function canonicalLanguage(tag: string): string {
  const known = canonical.get(tag);
  if (known !== undefined) return known;
  const found = canonicalize(tag);
  if (canonical.size < MOST_REMEMBERED) canonical.set(tag, found);
  return found;
}

const canonical = new Map<string, string>();
const MOST_REMEMBERED = 10_000;

function canonicalize(tag: string): string {
  const trimmed = tag.trim().replaceAll('_', '-');
  const named = trimmed.length <= TAG_LENGTH ? undefined : codesByName().get(trimmed.toLowerCase());
  if (named !== undefined) return named;
  let locale: Intl.Locale;
  try {
    const [primary = '', ...rest] = trimmed.split('-');
    locale = new Intl.Locale([INDIVIDUAL_CODES[primary.toLowerCase()] ?? primary, ...rest].join('-'));
  } catch {
    return 'und';
  }
  const language = locale.language === 'fil' ? 'tl' : locale.language;
  // Intl gives und no language at all.
  if (language === undefined || language.length > 3) return 'und';
  const script = locale.script ?? (language === 'zh' ? CHINESE_SCRIPTS[locale.region ?? ''] : undefined);
  const usual = new Intl.Locale(language).maximize().script;
  return script !== undefined && (SEVERAL_SCRIPTS.has(language) || script !== usual)
    ? `${language}-${script}`
    : language;
}

/** ISO 639-3 code of a tag's language, as detectors use it: the individual language where the tag names a macrolanguage. */
export function iso639Part3(tag: string): string {
  const primary = primaryLanguage(tag);
  return PART_3[primary] ?? primary;
}

export function primaryLanguage(tag: string): string {
  return tag.split('-', 1)[0] ?? tag;
}

/** `Greek`, `Simplified Chinese`; the tag itself where English has no name for it. */
export function languageName(tag: string): string {
  if (tag === 'und') return 'undetermined';
  return englishNames.of(tag) ?? tag;
}

/**
 * A setting given per language: the tag's own, else its language's without the script, else the default.
 */
export function forLanguage<T>(table: ReadonlyMap<string, T>, tag: string, fallback: T): T {
  return table.get(tag) ?? table.get(primaryLanguage(tag)) ?? fallback;
}

const PART_3: Readonly<Record<string, string>> = Object.fromEntries(
  (
    'af:afr am:amh ar:arb as:asm ay:ayr az:azj be:bel bg:bul bn:ben bo:bod br:bre bs:bos ca:cat co:cos cs:ces cy:cym da:dan ' +
    'de:deu dv:div el:ell en:eng eo:epo es:spa et:ekk eu:eus fa:pes ff:fuv fi:fin fo:fao fr:fra fy:fry ga:gle gd:gla gl:glg ' +
    'gn:gug gu:guj ha:hau he:heb hi:hin hr:hrv ht:hat hu:hun hy:hye ia:ina id:ind ig:ibo is:isl it:ita ja:jpn jv:jav ka:kat ' +
    'kk:kaz km:khm kn:kan ko:kor ku:kmr ky:kir la:lat lb:ltz ln:lin lo:lao lt:lit lv:lvs mg:plt mi:mri mk:mkd ml:mal mn:khk ' +
    'mr:mar ms:zlm mt:mlt my:mya nb:nob ne:npi nl:nld nn:nno no:nob ny:nya oc:oci om:gaz or:ory pa:pan pl:pol ps:pbu pt:por ' +
    'qu:quy rm:roh rn:run ro:ron ru:rus rw:kin sa:san sc:srd sd:snd se:sme si:sin sk:slk sl:slv sm:smo sn:sna so:som sq:als ' +
    'sr:srp ss:ssw st:sot su:sun sv:swe sw:swh ta:tam te:tel tg:tgk th:tha ti:tir tk:tuk tl:tgl tn:tsn tr:tur ts:tso tt:tat ' +
    'ug:uig uk:ukr ur:urd uz:uzn vi:vie wo:wol xh:xho yi:ydd yo:yor zh:cmn zu:zul'
  )
    .split(' ')
    .map((pair) => pair.split(':')),
);
