import type { Message, Sample } from '../data/sample.js';
import type { Channel } from './channel.js';
import { agrees, identifyLanguage, type Identification } from './language.js';
import { canonicalLanguage } from './language-tag.js';

/** A sample's language: what is declared leads, what is found in the text checks it. */
export interface SampleLanguage {
  /** Canonical; the declared one, else the one identified, else `und`. */
  readonly language: string;
  readonly declared: string | null;
  /** Of everything that people and the assistant say, reasoning left out. */
  readonly identified: Identification;
  readonly channels: Readonly<Partial<Record<Channel, Identification>>>;
  /** Channels in which another language than the declared one was identified: reasoning is often English. */
  readonly disagreeing: readonly Channel[];
  /** Single messages in another language than the sample's: a text to translate, or a row that is not what it says. */
  readonly foreign: readonly ForeignMessage[];
}

export interface ForeignMessage {
  /** Its place in the conversation, from 0. */
  readonly message: number;
  readonly language: string;
}

/** Characters of a channel that are looked at, in slices from all over it: identification reads 400 of prose. */
const CHARACTERS_READ = 2_048;

/** A slice is at least so long, and so many messages at most are looked at. */
const LEAST_SLICE = 160;
const MOST_SLICES = Math.floor(CHARACTERS_READ / LEAST_SLICE);

/** A message speaks for itself from so many characters on, and when its language is this clear; of a long conversation some do. */
const OWN_CHARACTERS = 400;
const OWN_MARGIN = 0.05;
const MOST_OWN = 12;
const SPOKEN: readonly Channel[] = ['user', 'assistant', 'text'];
const CHECKED: readonly Channel[] = ['user', 'assistant', 'reasoning', 'text'];

/**
 * Identifies the language of a sample per channel, and of its longer messages each for itself. Token ids say nothing: their
 * declared language stands unchecked.
 */
export function identifySample(sample: Sample): SampleLanguage {
  const declared = sample.language === null ? null : canonicalLanguage(sample.language);
  const texts = channelTexts(sample);
  const channels: Partial<Record<Channel, Identification>> = {};
  for (const channel of CHECKED) {
    const text = texts.get(channel);
    if (text !== undefined) channels[channel] = identifyLanguage(excerpt(text));
  }
  const identified = combine(SPOKEN.flatMap((channel) => channels[channel] ?? []));
  const disagreeing =
    declared === null || declared === 'und'
      ? []
      : CHECKED.filter((channel) => {
          const found = channels[channel];
          return found !== undefined && found.language !== 'und' && !agrees(declared, found);
        });
  const language = declared ?? identified.language;
  return { language, declared, identified, channels, disagreeing, foreign: foreignMessages(sample, language) };
}

function foreignMessages({ content }: Sample, language: string): ForeignMessage[] {
  if (content.kind !== 'messages' || language === 'und') return [];
  const own = content.messages.flatMap(({ role, content: text }, message) =>
    (role === 'user' || role === 'assistant') && text !== null && text.length >= OWN_CHARACTERS
      ? [{ message, text }]
      : [],
  );
  return evenly(own, MOST_OWN).flatMap(({ message, text }) => {
    const found = identifyLanguage(excerpt([text]));
    const isForeign = found.language !== 'und' && found.margin >= OWN_MARGIN && !agrees(language, found);
    return isForeign ? [{ message, language: found.language }] : [];
  });
}

/** At most so many of a list, from its beginning to its end. */
function evenly<T>(list: readonly T[], most: number): readonly T[] {
  if (list.length <= most) return list;
  return Array.from({ length: most }, (_, index) => list[Math.round((index * (list.length - 1)) / (most - 1))]!);
}

function channelTexts({ content }: Sample): Map<Channel, string[]> {
  const texts = new Map<Channel, string[]>();
  const add = (channel: Channel, text: string | null | undefined) => {
    if (text === null || text === undefined || text === '') return;
    const list = texts.get(channel) ?? [];
    texts.set(channel, list);
    list.push(text);
  };
  if (content.kind === 'text') add('text', content.text);
  if (content.kind === 'messages') for (const message of content.messages) addMessage(message, add);
  return texts;
}

function addMessage(message: Message, add: (channel: Channel, text: string | null | undefined) => void): void {
  if (message.role === 'user') add('user', message.content);
  if (message.role !== 'assistant') return;
  add('assistant', message.content);
  add('reasoning', message.reasoningContent);
}

/** The middle of every message, in shares of the whole, so that one long message does not speak for all. */
function excerpt(texts: readonly string[]): string {
  const total = texts.reduce((sum, text) => sum + text.length, 0);
  if (total <= CHARACTERS_READ) return texts.join('\n');
  const some = evenly(texts, MOST_SLICES);
  const length = some.reduce((sum, text) => sum + text.length, 0);
  return some
    .map((text) => {
      const share = Math.max(LEAST_SLICE, Math.floor((CHARACTERS_READ * text.length) / length));
      if (text.length <= share) return text;
      const start = Math.floor((text.length - share) / 2);
      return text.slice(start, start + share);
    })
    .join('\n');
}

/** The language with most letters behind it. */
function combine(found: readonly Identification[]): Identification {
  const letters = new Map<string, number>();
  for (const { language, letters: count } of found) {
    if (language !== 'und') letters.set(language, (letters.get(language) ?? 0) + count);
  }
  const [best] = [...letters].sort(([, a], [, b]) => b - a);
  const total = found.reduce((sum, identification) => sum + identification.letters, 0);
  const chosen = best === undefined ? undefined : found.find(({ language }) => language === best[0]);
  return chosen === undefined
    ? { language: 'und', alternatives: [], margin: 0, letters: total }
    : { ...chosen, letters: total };
}
