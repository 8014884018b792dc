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
}

/** Characters of a channel that are looked at, in slices from all over it: identification reads 400 of prose. */
const CHARACTERS_READ = 2_048;
const SPOKEN: readonly Channel[] = ['user', 'assistant', 'text'];
const CHECKED: readonly Channel[] = ['user', 'assistant', 'reasoning', 'text'];

/** Identifies the language of a sample per channel. Token ids say nothing: their declared language stands unchecked. */
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
  return { language: declared ?? identified.language, declared, identified, channels, disagreeing };
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

/** Every message's beginning and end, in shares of the whole, so that one long message does not speak for all. */
function excerpt(texts: readonly string[]): string {
  const total = texts.reduce((sum, text) => sum + text.length, 0);
  if (total <= CHARACTERS_READ) return texts.join('\n');
  return texts
    .map((text) => {
      const share = Math.max(160, Math.floor((CHARACTERS_READ * text.length) / total));
      if (text.length <= share) return text;
      const start = Math.floor((text.length - share) / 2);
      return text.slice(start, start + share);
    })
    .join('\n')
    .slice(0, CHARACTERS_READ);
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
