import type { Sample } from '../data/sample.js';
import type { Channel } from './channel.js';
import { agrees, identifyProse, type Identification } from './language.js';
import { canonicalLanguage } from './language-tag.js';
import { lettersOf, withoutCode } from './prose.js';

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
const OWN_CHARACTERS_READ = 800;
/** So many characters clear a message of the suspicion: most are in the language of their sample, and that is soon seen. */
const OWN_CHARACTERS_GLANCED_AT = 240;
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
  const passages = passagesOf(sample);
  const channels: Partial<Record<Channel, Identification>> = {};
  for (const channel of CHECKED) {
    const texts = passages.filter((passage) => passage.channel === channel).map(({ text }) => text);
    if (texts.length > 0) channels[channel] = identifyProse(lettersOf(excerpt(texts)));
  }
  const identified = combine(SPOKEN.flatMap((channel) => channels[channel] ?? []));
  const disagreeing =
    declared === null || declared === 'und'
      ? []
      : CHECKED.filter((channel) => {
          const found = channels[channel];
          return found !== undefined && found.language !== 'und' && !agrees(declared, found);
        });
  // A label that names no language ("multilingual", "English?") leaves the row to be identified.
  const language = declared === null || declared === 'und' ? identified.language : declared;
  return { language, declared, identified, channels, disagreeing, foreign: foreignMessages(passages, language) };
}

function foreignMessages(passages: readonly Passage[], language: string): ForeignMessage[] {
  const spoken = passages.filter(({ channel }) => channel === 'user' || channel === 'assistant');
  if (language === 'und' || spoken.length < 2) return [];
  const own = spoken.filter(({ text }) => text.length >= OWN_CHARACTERS);
  return evenly(own, MOST_OWN).flatMap(({ message, text }) => {
    if (agrees(language, identifyProse(lettersOf(middleOf(text, OWN_CHARACTERS_GLANCED_AT))))) return [];
    const found = identifyProse(lettersOf(middleOf(text, OWN_CHARACTERS_READ)));
    const isForeign = found.language !== 'und' && found.margin >= OWN_MARGIN && !agrees(language, found);
    return isForeign ? [{ message, language: found.language }] : [];
  });
}

/** At most so many of a list, from its beginning to its end. */
function evenly<T>(list: readonly T[], most: number): readonly T[] {
  if (list.length <= most) return list;
  return Array.from({ length: most }, (_, index) => list[Math.round((index * (list.length - 1)) / (most - 1))]!);
}

/** What one message says in one channel, code taken out. */
interface Passage {
  readonly channel: Channel;
  readonly message: number;
  readonly text: string;
}

function passagesOf({ content }: Sample): Passage[] {
  const passages: Passage[] = [];
  const add = (channel: Channel, message: number, text: string | null | undefined) => {
    if (text !== null && text !== undefined && text !== '')
      passages.push({ channel, message, text: withoutCode(text) });
  };
  if (content.kind === 'text') add('text', 0, content.text);
  if (content.kind !== 'messages') return passages;
  for (const [index, { role, content: text, reasoningContent }] of content.messages.entries()) {
    if (role !== 'user' && role !== 'assistant') continue;
    add(role, index, text);
    if (role === 'assistant') add('reasoning', index, reasoningContent);
  }
  return passages;
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
      return middleOf(text, share);
    })
    .join('\n');
}

function middleOf(text: string, length: number): string {
  const start = Math.max(0, Math.floor((text.length - length) / 2));
  return text.slice(start, start + length);
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
