import type { Message, ToolCall } from '../data/sample.js';
import type { Channel } from './channel.js';

/** One piece of a message that a template may print: its text without the white space around it, which templates trim. */
export interface Piece {
  /** Place among the pieces of its conversation. */
  readonly number: number;
  readonly message: number;
  readonly channel: Channel;
  readonly text: string;
}

/** A piece found in the rendered text; offsets in UTF-16 units. */
export interface LocatedPiece extends Piece {
  readonly start: number;
  readonly end: number;
}

/**
 * Unicode noncharacters: never in text meant for interchange, so no honest content holds them, no template treats them,
 * and JSON leaves them as they are. Content that does hold them loses them with the marks, and then the text is not the
 * unmarked one.
 */
const OPEN = '\uFDD0';
const CLOSE = '\uFDD1';
const DIGIT_ZERO = 0xfdd2;
const RADIX = 8;
const MARKS = new RegExp(`${OPEN}([\\uFDD2-\\uFDD9]+)\\uFDDA|${CLOSE}`, 'gu');
const END_OF_NUMBER = '\uFDDA';

export function channelOf(role: Message['role']): Channel {
  return role === 'developer' ? 'system' : role;
}

/** The pieces of a conversation in the order in which templates print them. */
export function piecesOf(messages: readonly Message[]): Piece[] {
  const pieces: Piece[] = [];
  for (const [index, message] of messages.entries()) {
    const add = (channel: Channel, text: string | null | undefined) => {
      const core = text?.trim() ?? '';
      if (core !== '') pieces.push({ number: pieces.length, message: index, channel, text: core });
    };
    add('reasoning', message.reasoningContent);
    add(channelOf(message.role), message.content);
    for (const call of message.toolCalls ?? []) add('assistant', call.name);
  }
  return pieces;
}

/** The same messages with every piece between marks that carry its number. */
export function markMessages(messages: readonly Message[]): Message[] {
  let next = 0;
  const mark = (text: string): string => {
    const core = text.trim();
    if (core === '') return text;
    const start = text.indexOf(core);
    return `${text.slice(0, start)}${OPEN}${number(next++)}${END_OF_NUMBER}${core}${CLOSE}${text.slice(start + core.length)}`;
  };
  return messages.map((message) => {
    const reasoning =
      message.reasoningContent === undefined ? {} : { reasoningContent: mark(message.reasoningContent) };
    const content = message.content === null ? null : mark(message.content);
    const calls = message.toolCalls?.map((call): ToolCall => ({ ...call, name: mark(call.name) }));
    return { ...message, ...reasoning, content, ...(calls === undefined ? {} : { toolCalls: calls }) };
  });
}

/** Takes the marks out of a rendered text and says where each piece stood. */
export function unmark(marked: string, pieces: readonly Piece[]): { text: string; located: LocatedPiece[] } {
  const parts: string[] = [];
  const located: LocatedPiece[] = [];
  let length = 0;
  let from = 0;
  let open: { piece: Piece; start: number } | null = null;
  const close = () => {
    if (open !== null && length > open.start) located.push({ ...open.piece, start: open.start, end: length });
    open = null;
  };
  for (const match of marked.matchAll(MARKS)) {
    parts.push(marked.slice(from, match.index));
    length += match.index - from;
    from = match.index + match[0].length;
    close();
    const piece = match[1] === undefined ? undefined : pieces[parse(match[1])];
    if (piece !== undefined) open = { piece, start: length };
  }
  parts.push(marked.slice(from));
  length += marked.length - from;
  close();
  return { text: parts.join(''), located };
}

/** Where marks changed what the template did: find the pieces in the text itself, each after the one before. */
export function locate(text: string, pieces: readonly Piece[]): LocatedPiece[] {
  const located: LocatedPiece[] = [];
  let cursor = 0;
  for (const piece of pieces) {
    const start = text.indexOf(piece.text, cursor);
    if (start === -1) continue;
    cursor = start + piece.text.length;
    located.push({ ...piece, start, end: cursor });
  }
  return located;
}

function number(value: number): string {
  return Array.from(value.toString(RADIX), (digit) => String.fromCharCode(DIGIT_ZERO + Number(digit))).join('');
}

function parse(digits: string): number {
  return Number.parseInt(Array.from(digits, (digit) => digit.charCodeAt(0) - DIGIT_ZERO).join(''), RADIX);
}
