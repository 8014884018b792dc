import { InputError, type Location } from '../errors.js';
import { CHANNELS, type Channel } from '../text/channel.js';
import { canonicalLanguage } from '../text/language-tag.js';

/**
 * What a mix must have besides routed tokens in its cells: least tokens by BCP 47 tag (`el`) or channel (`reasoning`), and
 * `length`, the least median of tokens per sequence.
 */
export type Floors = Readonly<Record<string, number>>;

export interface SplitFloors {
  readonly languages: Readonly<Record<string, number>>;
  readonly channels: Readonly<Partial<Record<Channel, number>>>;
  readonly length: number | null;
}

const LENGTH = 'length';

/** No language tag reads like a channel: registered primary subtags have two or three letters. */
function isChannel(name: string): name is Channel {
  return CHANNELS.some((channel) => channel === name);
}

export function splitFloors(floors: Floors): SplitFloors {
  const languages: Record<string, number> = {};
  const channels: Partial<Record<Channel, number>> = {};
  for (const [name, least] of Object.entries(floors)) {
    if (name === LENGTH) continue;
    if (isChannel(name)) channels[name] = least;
    else languages[name] = least;
  }
  return { languages, channels, length: Object.hasOwn(floors, LENGTH) ? floors[LENGTH]! : null };
}

/** One spelling for the name of a floor. @throws InputError when it is neither a language nor a channel nor `length` */
export function floorName(name: string, location?: Location): string {
  const lower = name.trim().toLowerCase();
  if (lower === LENGTH || isChannel(lower)) return lower;
  const language = canonicalLanguage(name);
  if (language !== 'und' || lower === 'und') return language;
  throw new InputError(
    `set a floor for '${name}': wanted a language, a channel (${CHANNELS.join(', ')}) or ${LENGTH}`,
    location === undefined ? {} : { location },
  );
}
