import type { Channel } from './channel.js';
import { channelOf, type LocatedPiece } from './marking.js';
import type { Message } from '../data/sample.js';

/** A stretch of rendered text that belongs to one channel; UTF-16 offsets. Spans lie end to end over the whole text. */
export interface ChannelSpan {
  readonly start: number;
  readonly end: number;
  readonly channel: Channel;
}

/** Tokens that end a turn in the families in use; a tokenizer's own eos_token counts besides. */
const CLOSING_TOKEN =
  /^(?:<\/s>|<\|?(?:im_end|im▁end|eot|eot_id|eom|eom_id|end|end_of_turn|return|call|endoftext|end_of_text|END_OF_TURN_TOKEN)\|?>|<｜end▁of▁sentence｜>|<[｜|]hy_Assistant[｜|]>)$/u;

/**
 * Cuts a rendered conversation into messages and channels. The text around a piece (role headers, turn ends, tool-call
 * syntax) goes to the message it frames: between two messages the cut stands after the last token that ends a turn, else
 * before the first special token, else before the later piece.
 *
 * @returns spans over the whole text, and the offset where each printed message begins
 */
export function cutChannels(
  text: string,
  located: readonly LocatedPiece[],
  messages: readonly Message[],
  specialTokens: SpecialTokens,
): { spans: ChannelSpan[]; messageStarts: number[] } {
  const pieces = [...located].sort((a, b) => a.start - b.start);
  const spans: ChannelSpan[] = [];
  const messageStarts: number[] = [];
  const push = (end: number, channel: Channel) => {
    const start = spans.at(-1)?.end ?? 0;
    if (end > start) spans.push({ start, end, channel });
  };
  let frame: Channel = 'system';
  let current = -1;
  for (const piece of pieces) {
    if (piece.message !== current) {
      const start = boundary(text, spans.at(-1)?.end ?? 0, piece.start, specialTokens);
      push(start, frame);
      messageStarts.push(start);
      current = piece.message;
      frame = channelOf(messages[current]?.role ?? 'user');
    }
    push(piece.start, frame);
    push(piece.end, piece.channel);
  }
  push(text.length, pieces.length === 0 ? channelOf(messages[0]?.role ?? 'user') : frame);
  return { spans: merge(spans), messageStarts };
}

/** What the tokenizer matches before anything else, as one pattern; `eos` ends a turn whatever its name. */
export interface SpecialTokens {
  readonly pattern: RegExp | null;
  readonly eos: string | null;
  readonly bos: string | null;
}

export function specialTokensPattern(tokens: Iterable<string>, eos: string | null, bos: string | null): SpecialTokens {
  const longestFirst = [...tokens].filter((token) => token.trim() !== '').sort((a, b) => b.length - a.length);
  const escaped = longestFirst.map((token) => token.replaceAll(/[\\^$.*+?()[\]{}|]/gu, String.raw`\$&`));
  return { pattern: escaped.length === 0 ? null : new RegExp(escaped.join('|'), 'gu'), eos, bos };
}

function boundary(text: string, from: number, to: number, { pattern, eos, bos }: SpecialTokens): number {
  const frame = text.slice(from, to);
  const tokens = pattern === null ? [] : [...frame.matchAll(pattern)];
  const closing = tokens.findLast(([token]) => token === eos || CLOSING_TOKEN.test(token));
  if (closing !== undefined) {
    const after = closing.index + closing[0].length;
    const space = /^\s*/u.exec(frame.slice(after))?.[0].length ?? 0;
    return from + after + space;
  }
  const opening = tokens.find(([token]) => token !== bos && !token.startsWith('</'));
  return opening === undefined ? to : from + opening.index;
}

function merge(spans: readonly ChannelSpan[]): ChannelSpan[] {
  const merged: ChannelSpan[] = [];
  for (const span of spans) {
    const last = merged.at(-1);
    if (last?.channel === span.channel) merged[merged.length - 1] = { ...last, end: span.end };
    else merged.push(span);
  }
  return merged;
}
