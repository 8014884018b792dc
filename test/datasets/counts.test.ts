import { beforeAll, describe, expect, it } from 'vitest';
import type { Sample } from '../../src/data/sample.js';
import { canonicalLanguage } from '../../src/text/language-tag.js';
import { loadTokenizer } from '../../src/text/load-tokenizer.js';
import type { Tokenizer } from '../../src/text/tokenizer.js';
import { codeOf, detect } from './detectors.js';
import { messagesOf, reasoningText, recordOf, samplesOf } from './shipped.js';

const EU = 'bg cs da de el en es et fi fr ga hr hu it lt lv mt nl pl pt ro sk sl sv'.split(' ');
const BEYOND_EU = 'ar bn fa he hi id is ja ko nb ru sr-Cyrl sw ta th tr uk ur vi zh-Hans'.split(' ');
/** Written without spaces: measured in characters. */
const UNSPACED = new Set(['ja', 'th', 'zh-Hans']);

function languageOf(sample: Sample): string {
  return canonicalLanguage(sample.language ?? 'und');
}

function steps(sample: Sample): number {
  return messagesOf(sample).filter(({ role }) => role === 'assistant').length;
}

function callsOf(sample: Sample) {
  return messagesOf(sample).flatMap(({ toolCalls }) => toolCalls ?? []);
}

describe('languages', () => {
  it('holds one text in each of 44 languages', async () => {
    const languages = (await samplesOf('languages')).map(languageOf);
    expect(languages.toSorted()).toEqual([...EU, ...BEYOND_EU].toSorted());
  });

  it('gives 250 to 500 words, or 600 to 1,200 characters where words have no spaces', async () => {
    const off: string[] = [];
    for (const sample of await samplesOf('languages')) {
      const text = messagesOf(sample)
        .filter(({ role }) => role === 'assistant')
        .map(({ content }) => content ?? '')
        .join('\n');
      const [size, least, most] = UNSPACED.has(languageOf(sample))
        ? [text.replaceAll(/\s/gu, '').length, 600, 1200]
        : [text.split(/\s+/u).filter((word) => /[\p{L}\p{N}]/u.test(word)).length, 250, 500];
      if (size < least || size > most) off.push(`${recordOf(sample)}: ${size}`);
    }
    expect(off).toEqual([]);
  });
});

describe('multilingual-dialogues', () => {
  let samples: Sample[];
  let cl100k: Tokenizer;

  beforeAll(async () => {
    samples = await samplesOf('multilingual-dialogues');
    cl100k = await loadTokenizer({ encoding: 'cl100k_base' });
  });

  it('holds four dialogues of three to six user turns for each EU language', () => {
    expect(samples.map(languageOf).toSorted()).toEqual(
      EU.flatMap((language) => [language, language, language, language]),
    );
    for (const sample of samples) {
      const turns = messagesOf(sample).filter(({ role }) => role === 'user').length;
      expect(turns, recordOf(sample)).toBeGreaterThanOrEqual(3);
      expect(turns, recordOf(sample)).toBeLessThanOrEqual(6);
    }
  });

  it('has at least 600 tokens in each and over 1,000 in half', () => {
    const tokens = samples.map((sample) =>
      messagesOf(sample)
        .flatMap(({ content, reasoningContent }) => [content ?? '', reasoningContent ?? ''])
        .reduce((sum, text) => sum + cl100k.encode(text).length, 0),
    );
    expect(samples.filter((_, index) => (tokens[index] ?? 0) < 600).map(recordOf)).toEqual([]);
    expect(tokens.filter((count) => count > 1000).length).toBeGreaterThanOrEqual(samples.length / 2);
  });

  it('reasons in every dialogue: half or more in its own language, the rest in English', () => {
    const languages = samples.map((sample) => {
      const found = Object.values(detect(reasoningText(sample)));
      return [codeOf(languageOf(sample)), 'en'].find((language) => found.includes(language)) ?? recordOf(sample);
    });
    const own = samples.filter((sample, index) => languages[index] === codeOf(languageOf(sample)));
    const english = samples.filter((sample, index) => !own.includes(sample) && languages[index] === 'en');
    expect(own.length + english.length).toBe(samples.length);
    expect(own.length).toBeGreaterThanOrEqual(samples.length / 2);
    expect(english.length).toBeGreaterThanOrEqual(samples.length / 4);
  });

  it('has system prompts and tools in some', () => {
    expect(samples.filter((sample) => messagesOf(sample)[0]?.role === 'system').length).toBeGreaterThanOrEqual(10);
    expect(samples.filter((sample) => callsOf(sample).length > 0).length).toBeGreaterThanOrEqual(10);
  });
});

describe.each([
  { set: 'coding-agent', least: 15, most: 40 },
  { set: 'terminal-agent', least: 8, most: 25 },
] as const)('$set', ({ set, least, most }) => {
  it(`holds at least six trajectories of ${least} to ${most} steps, not all in English`, async () => {
    const samples = await samplesOf(set);
    expect(samples.length).toBeGreaterThanOrEqual(6);
    for (const sample of samples) {
      expect(steps(sample), recordOf(sample)).toBeGreaterThanOrEqual(least);
      expect(steps(sample), recordOf(sample)).toBeLessThanOrEqual(most);
    }
    expect(new Set(samples.map(languageOf)).size).toBeGreaterThanOrEqual(3);
  });
});

describe('tool-calling', () => {
  it('holds at least 24 dialogues in at least 14 languages', async () => {
    const samples = await samplesOf('tool-calling');
    expect(samples.length).toBeGreaterThanOrEqual(24);
    expect(new Set(samples.map(languageOf)).size).toBeGreaterThanOrEqual(14);
  });

  it('shows parallel calls, errors with a retry, chains, and requests that no call answers', async () => {
    const samples = await samplesOf('tool-calling');
    const count = (holds: (sample: Sample) => boolean) => samples.filter(holds).length;
    expect(count((sample) => messagesOf(sample).at(-1)?.role === 'assistant')).toBe(samples.length);
    expect(
      count((sample) => messagesOf(sample).some(({ toolCalls }) => (toolCalls?.length ?? 0) > 1)),
    ).toBeGreaterThanOrEqual(12);
    // The same tool again after its result said that something was wrong.
    expect(count(retriesAfterError)).toBeGreaterThanOrEqual(8);
    expect(count((sample) => callingTurns(sample) >= 3)).toBeGreaterThanOrEqual(12);
    expect(count(answersWithoutCalling)).toBeGreaterThanOrEqual(10);
  });
});

function callingTurns(sample: Sample): number {
  return messagesOf(sample).filter(({ toolCalls }) => (toolCalls?.length ?? 0) > 0).length;
}

const ERROR = /"(?:error|virhe|erreur|hata|fehler|chyba|errore|помилка|エラー|错误|loi)"|^błąd:/u;

function retriesAfterError(sample: Sample): boolean {
  const messages = messagesOf(sample);
  return messages.some(
    ({ role, content, name }, index) =>
      role === 'tool' &&
      ERROR.test(content ?? '') &&
      messages.slice(index + 1).some(({ toolCalls }) => toolCalls?.some((call) => call.name === name) === true),
  );
}

/** A user's turn, with tools on offer, that the assistant answers in words alone. */
function answersWithoutCalling(sample: Sample): boolean {
  const messages = messagesOf(sample);
  return messages.some(
    ({ role }, index) =>
      role === 'user' && messages[index + 1]?.role === 'assistant' && messages[index + 1]?.toolCalls === undefined,
  );
}
