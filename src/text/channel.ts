/** Which part of a sample a token belongs to. Raw text without roles is `text`. */
export const CHANNELS = ['system', 'user', 'assistant', 'reasoning', 'tool', 'text'] as const;
export type Channel = (typeof CHANNELS)[number];

/** A count for every channel, all zero. */
export function zeroChannels(): Record<Channel, number> {
  return { system: 0, user: 0, assistant: 0, reasoning: 0, tool: 0, text: 0 };
}

/** Index into CHANNELS, for typed arrays. */
export function channelIndex(channel: Channel): number {
  return CHANNELS.indexOf(channel);
}

export function addCounts(into: Record<Channel, number>, counts: Readonly<Record<Channel, number>>): void {
  for (const channel of CHANNELS) into[channel] += counts[channel];
}
