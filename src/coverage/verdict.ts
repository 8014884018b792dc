import type { ChannelCoverage, Coverage, CoverageFailure, GroupCoverage, LayerCoverage, Lengths } from './coverage.js';
import { CHANNELS, type Channel } from '../text/channel.js';
import { splitFloors, type Floors } from './floors.js';

export interface Judged {
  readonly layers: readonly Pick<LayerCoverage, 'routed'>[];
  readonly languages: Readonly<Record<string, Pick<GroupCoverage, 'tokens'>>>;
  readonly channels: Readonly<Record<string, Pick<ChannelCoverage, 'tokens'>>>;
  readonly lengths: Lengths;
  readonly floor: number;
  readonly floors: Floors;
}

/**
 * What keeps a mix from passing: cells under the floor; languages, channels and sequences under floors of their own. A
 * dense model has no cells, so the general floor then counts for every language and channel of the mix without its own.
 */
export function findFailures({ layers, languages, channels, lengths, floor, floors }: Judged): CoverageFailure[] {
  const failures: CoverageFailure[] = [];
  let cells = 0;
  for (const { routed } of layers) for (const count of routed) if (count < floor) cells++;
  if (cells > 0) failures.push({ kind: 'cells', cells, floor });
  const own = splitFloors(floors);
  const isDense = layers.length === 0;
  const spoken = isDense ? Object.fromEntries(Object.keys(languages).map((name) => [name, floor])) : {};
  const wanted = Object.entries({ ...spoken, ...own.languages }).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [language, least] of wanted) {
    const tokens = tokensOf(languages, language);
    if (tokens < least) failures.push({ kind: 'language', language, tokens, floor: least });
  }
  for (const channel of CHANNELS) {
    const tokens = tokensOf(channels, channel);
    const least = own.channels[channel] ?? (isDense && tokens > 0 ? floor : 0);
    if (tokens < least) failures.push({ kind: 'channel', channel, tokens, floor: least });
  }
  const { median } = lengths;
  if (own.length !== null && median < own.length) failures.push({ kind: 'length', median, floor: own.length });
  return failures;
}

/** One line of the table of languages, which needs no experts. */
export interface LanguageRow {
  readonly language: string;
  readonly samples: number;
  readonly tokens: number;
  /** Part of all tokens, 0…1. */
  readonly share: number;
  readonly floor: number | null;
  readonly underFloor: boolean;
}

/** Languages by falling tokens; those with a floor but no token are listed too. */
export function languageTable(coverage: Coverage): LanguageRow[] {
  const { languages, languageFloors, floor, layers, tokens } = coverage;
  const names = new Set([...Object.keys(languages), ...Object.keys(languageFloors)]);
  const floors = new Map(Object.entries(languageFloors));
  return [...names]
    .map((language) => {
      const least = floors.get(language) ?? (layers.length === 0 ? floor : null);
      const own = tokensOf(languages, language);
      return {
        language,
        samples: Object.hasOwn(languages, language) ? languages[language]!.samples : 0,
        tokens: own,
        share: tokens === 0 ? 0 : own / tokens,
        floor: least,
        underFloor: least !== null && own < least,
      };
    })
    .sort((a, b) => b.tokens - a.tokens || (a.language < b.language ? -1 : 1));
}

/** One column of the table of languages: a channel over all of them. */
export interface ChannelRow {
  readonly channel: Channel;
  readonly tokens: number;
  readonly floor: number | null;
  readonly underFloor: boolean;
}

/** Channels that have tokens or should have some, in their usual order. */
export function channelTable({ channels, channelFloors, layers, floor }: Coverage): ChannelRow[] {
  return CHANNELS.flatMap((channel) => {
    const { tokens } = channels[channel];
    const least = channelFloors[channel] ?? (layers.length === 0 && tokens > 0 ? floor : null);
    if (tokens === 0 && least === null) return [];
    return [{ channel, tokens, floor: least, underFloor: least !== null && tokens < least }];
  });
}

function tokensOf(groups: Judged['languages'], name: string): number {
  return Object.hasOwn(groups, name) ? groups[name]!.tokens : 0;
}
