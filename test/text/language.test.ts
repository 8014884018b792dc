import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Message, Sample } from '../../src/data/sample.js';
import { agrees, identifyLanguage, identifyProse } from '../../src/text/language.js';
import { canonicalLanguage, forLanguage, iso639Part3, languageName } from '../../src/text/language-tag.js';
import { proseOf } from '../../src/text/prose.js';
import { identifySample } from '../../src/text/sample-language.js';
import { IDENTIFIABLE } from '../../src/text/language.js';

const sampleOf = (messages: readonly Message[], language: string | null): Sample => ({
  content: { kind: 'messages', messages, tools: null },
  language,
  category: null,
  origin: { source: 's', revision: null, license: null, recordId: '1' },
});

describe('canonicalLanguage()', () => {
  it.each([
    ['ekk', 'et'],
    ['lvs', 'lv'],
    ['cmn', 'zh'],
    ['arb', 'ar'],
    ['pes', 'fa'],
    ['zsm', 'ms'],
    ['zlm', 'ms'],
    ['nob', 'nb'],
    ['als', 'sq'],
    ['swh', 'sw'],
    ['npi', 'ne'],
    ['uzn', 'uz'],
    ['azj', 'az'],
    ['khk', 'mn'],
    ['tgl', 'tl'],
    ['fil', 'tl'],
    ['ell', 'el'],
    ['zho-Hans', 'zh-Hans'],
    ['zh-TW', 'zh-Hant'],
    ['zh_CN', 'zh-Hans'],
    ['srp-Cyrl', 'sr-Cyrl'],
    ['hbs', 'sr-Latn'],
    ['en-US', 'en'],
    ['el_GR', 'el'],
    ['pt-BR', 'pt'],
    ['Greek', 'el'],
    ['klingonese', 'und'],
    ['', 'und'],
    ['und', 'und'],
  ])('%s is %s', (tag, wanted) => {
    expect(canonicalLanguage(tag)).toBe(wanted);
  });

  it('comes back from ISO 639-3 for every language that can be identified', () => {
    for (const language of IDENTIFIABLE) expect(canonicalLanguage(iso639Part3(language))).toBe(language);
  });

  it('has English names', () => {
    expect([languageName('el'), languageName('zh-Hans'), languageName('und')]).toEqual([
      'Greek',
      'Simplified Chinese',
      'undetermined',
    ]);
  });

  it('looks settings up by tag, then by language', () => {
    const weights = new Map([
      ['zh', 2],
      ['sr-Cyrl', 3],
    ]);
    expect([
      forLanguage(weights, 'zh-Hans', 1),
      forLanguage(weights, 'sr-Latn', 1),
      forLanguage(weights, 'sr-Cyrl', 1),
    ]).toEqual([2, 1, 3]);
  });
});

describe('proseOf()', () => {
  it('takes out code, tags, URLs, paths and identifiers', () => {
    const text =
      'Τρέξε το `npm test` στο /usr/local/bin:\n```sh\nrm -rf build\n```\n<think>δες</think> https://example.org/a?b και το my_function, config.yaml {{ name }}.';
    expect(proseOf(text)).toBe('Τρέξε το στο δες και το');
  });

  it('is linear in hostile text', () => {
    const started = performance.now();
    for (const text of [
      '`'.repeat(50_000),
      '<a'.repeat(50_000),
      '```'.repeat(30_000),
      'a_'.repeat(50_000),
      '/'.repeat(50_000),
      'aB'.repeat(50_000),
    ])
      proseOf(text);
    expect(performance.now() - started).toBeLessThan(4000);
  });
});

describe('identifyLanguage()', () => {
  it('says und for what is too short, for numbers and for code', () => {
    for (const text of ['', 'ok', '12 345', '```py\nprint("hello world, this is code")\n```'])
      expect(identifyLanguage(text).language).toBe('und');
  });

  it('goes by the script where that settles it', () => {
    expect(identifyLanguage('Το τρένο φεύγει στις εννιά').language).toBe('el');
    expect(identifyLanguage('今日は学校へ行きます').language).toBe('ja');
    expect(identifyLanguage('我们今天去学校学习').language).toBe('zh-Hans');
    expect(identifyLanguage('我們今天去學校學習').language).toBe('zh-Hant');
    expect(identifyLanguage('한국어를 배우는 것은 재미있습니다').language).toBe('ko');
  });

  it('takes members of a group that cannot be told apart for agreeing', () => {
    const found = identifyLanguage('Ovo je dobra knjiga za djecu i odrasle koji vole priče o moru.');
    expect(agrees('hrv', found)).toBe(true);
    expect(agrees('slv', found)).toBe(false);
  });

  const rowSchema = z.object({
    language: z.string(),
    messages: z.array(z.object({ role: z.string(), content: z.string().nullable() })),
  });
  const rows = readFileSync('datasets/languages/languages.jsonl', 'utf8')
    .trim()
    .split('\n')
    .map((line) => rowSchema.parse(JSON.parse(line)));

  it.each([
    [30, 0.94],
    [100, 0.98],
    [400, 0.99],
  ])('is right on text of %i letters', (length, least) => {
    const results = rows.flatMap(({ language, messages }) => {
      const prose = proseOf(messages.map(({ content }) => content ?? '').join(' '));
      const chunks = Array.from({ length: Math.min(6, Math.floor(prose.length / length)) }, (_, index) =>
        prose.slice(index * length, (index + 1) * length),
      );
      return chunks.map((chunk) => agrees(language, identifyProse(chunk)));
    });
    expect(results.length).toBeGreaterThan(100);
    expect(results.filter(Boolean).length / results.length).toBeGreaterThan(least);
  });

  it('looks at a long text all over, not at its beginning', () => {
    const opening = 'Um dia o velho pescador saiu de casa antes do nascer do sol e foi até ao porto. '.repeat(4);
    const rest = 'Der Müller mahlt am Morgen das Korn, das die Bauern am Abend vorher gebracht haben. '.repeat(40);
    expect(identifyLanguage(opening + rest).language).toBe('de');
  });
});

describe('identifySample()', () => {
  const greek = 'Καλημέρα! Θα ήθελα να μάθω πότε φεύγει το πλοίο για την Αίγινα.';
  const english = 'The user wants to know when the ferry leaves, so I should look at the timetable first.';
  it('lets the declared language lead and reports each channel that disagrees', () => {
    const messages: Message[] = [
      { role: 'system', content: english },
      { role: 'user', content: greek },
      { role: 'assistant', content: greek, reasoningContent: english },
      { role: 'tool', content: english },
    ];
    const found = identifySample(sampleOf(messages, 'ell'));
    expect(found).toMatchObject({
      language: 'el',
      declared: 'el',
      disagreeing: ['reasoning'],
      channels: { user: { language: 'el' }, reasoning: { language: 'en' } },
    });
    expect(identifySample(sampleOf(messages, 'de')).disagreeing).toEqual(['user', 'assistant', 'reasoning']);
    expect(identifySample(sampleOf(messages, null))).toMatchObject({ language: 'el', declared: null, disagreeing: [] });
  });

  it('is not fooled by a long opening in another language', () => {
    const messages: Message[] = [
      { role: 'user', content: `${english} `.repeat(3) },
      { role: 'assistant', content: `${greek} `.repeat(60) },
    ];
    expect(identifySample(sampleOf(messages, null)).language).toBe('el');
  });

  it('names single messages in another language', () => {
    const long = (text: string) => `${text} `.repeat(8);
    const messages: Message[] = [
      { role: 'user', content: long(greek).repeat(4) },
      { role: 'assistant', content: long(greek) },
      { role: 'user', content: long(english) },
      { role: 'assistant', content: `\`\`\`\n${long(english)}\n\`\`\`\n${long(greek)}` },
      { role: 'user', content: 'Thanks, and a good day to you.' },
    ];
    expect(identifySample(sampleOf(messages, 'el'))).toMatchObject({
      disagreeing: [],
      foreign: [{ message: 2, language: 'en' }],
    });
    expect(identifySample(sampleOf(messages.slice(0, 2), 'el')).foreign).toEqual([]);
  });

  it('looks at the end of a long conversation too', () => {
    const turn = (text: string): Message[] => [
      { role: 'user', content: 'ναι' },
      { role: 'assistant', content: `${text} `.repeat(3) },
    ];
    const messages = [
      ...Array.from({ length: 15 }, () => turn(english)),
      ...Array.from({ length: 60 }, () => turn(greek)),
    ];
    expect(identifySample(sampleOf(messages.flat(), null)).language).toBe('el');
  });
});
