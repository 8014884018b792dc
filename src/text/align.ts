import type { ChannelSpan } from './spans.js';
import { channelIndex } from './channel.js';
import type { Tokenizer } from './tokenizer.js';

/** What every token of a text belongs to. */
export interface Alignment {
  /** Index into CHANNELS per token. */
  readonly channels: Uint8Array;
  /** Positions of the first tokens of messages, rising. */
  readonly messageStarts: readonly number[];
}

/**
 * Gives every token the channel of the text it begins in. Tokenizers report no offsets, so tokens are laid along the
 * normalized text by the bytes they stand for. Byte-level vocabularies add up exactly; where a vocabulary does not (an
 * added prefix space, an unknown token), the text is stretched evenly over the tokens.
 */
export function alignTokens(
  tokenizer: Tokenizer,
  ids: Int32Array,
  text: string,
  spans: readonly ChannelSpan[],
  messageStarts: readonly number[],
): Alignment {
  const cuts = [...new Set([0, ...spans.map((span) => span.end), ...messageStarts, text.length])].sort((a, b) => a - b);
  // Most text is normalized already: then its pieces are their own normal form, too.
  const normal = tokenizer.normalize(text) === text;
  const byteAt = new Map<number, number>([[0, 0]]);
  let textBytes = 0;
  for (const [index, cut] of cuts.entries()) {
    const piece = text.slice(index === 0 ? 0 : cuts[index - 1], cut);
    textBytes += Buffer.byteLength(normal ? piece : tokenizer.normalize(piece));
    byteAt.set(cut, textBytes);
  }
  const surfaceBytes = (id: number) => tokenizer.surfaceBytes(id);
  let tokenBytes = 0;
  for (let index = 0; index < ids.length; index++) tokenBytes += surfaceBytes(ids[index] ?? 0);
  const scale = textBytes === tokenBytes || textBytes === 0 ? 1 : tokenBytes / textBytes;
  const position = (offset: number) => (byteAt.get(offset) ?? 0) * scale;

  const channels = new Uint8Array(ids.length);
  const starts: number[] = [];
  const ends = spans.map((span) => position(span.end));
  const ofSpans = spans.map((span) => channelIndex(span.channel));
  const wanted = messageStarts.map(position);
  let span = 0;
  let start = 0;
  let at = 0;
  for (let index = 0; index < ids.length; index++) {
    while (span < ends.length - 1 && at >= (ends[span] ?? 0)) span++;
    channels[index] = ofSpans[span] ?? 0;
    while (start < wanted.length && at >= (wanted[start] ?? 0)) {
      if (starts.at(-1) !== index) starts.push(index);
      start++;
    }
    at += surfaceBytes(ids[index] ?? 0);
  }
  return { channels, messageStarts: starts };
}
