import { InputError } from '../errors.js';
import type { JsonObject, Message, Sample } from '../data/sample.js';
import { zeroChannels, type Channel } from './channel.js';
import { chooseTemplate, type ChatTemplate, type NamedTemplate } from './chat-template.js';
import { channelOf, locate, markMessages, piecesOf, unmark, type LocatedPiece, type Piece } from './marking.js';
import { cutChannels, type ChannelSpan, type SpecialTokens } from './spans.js';
import { messageOf } from './template-engine.js';
import { MESSAGE_SHAPES, toTemplateMessage, type MessageShape } from './template-messages.js';

export interface RenderOptions {
  /** Passed to the template as they are: `enable_thinking`, `preserve_thinking`, … */
  readonly templateArguments?: JsonObject | undefined;
  /** A template's name where the model has several; transformers' choice when absent. */
  readonly template?: string | undefined;
  /** What `strftime_now` says, `YYYY-MM-DD`; fixed, so that a mix does not change with the day it is built. */
  readonly date?: string | undefined;
  readonly specialTokens: SpecialTokens;
}

/** The day on which templates that print one believe to be rendered. */
export const TEMPLATE_DATE = '2025-01-01';

/** A sample's text as the model sees it, and what became of its parts. Offsets and counts are UTF-16 units. */
export interface RenderedText {
  readonly text: string;
  /** End to end over the whole text. */
  readonly spans: readonly ChannelSpan[];
  /** Where printed messages begin: where windows may. */
  readonly messageStarts: readonly number[];
  /** Characters of content that the sample holds, and those of them that the template printed. */
  readonly raw: Readonly<Record<Channel, number>>;
  readonly rendered: Readonly<Record<Channel, number>>;
  /** What the template left out, e.g. the reasoning of earlier turns. */
  readonly dropped: readonly { readonly channel: Channel; readonly text: string }[];
}

/**
 * Renders a conversation with the model's own template (`add_generation_prompt` false, `tools` passed), or passes raw
 * text through.
 *
 * @throws InputError naming template, row and message when the template refuses the conversation
 */
export function render(sample: Sample, chat: ChatTemplate | null, options: RenderOptions): RenderedText {
  const { content, origin } = sample;
  if (content.kind === 'tokens')
    throw new InputError(`Cannot render row "${origin.recordId}": it holds token ids, not text`);
  if (content.kind === 'text') return plainText(content.text);
  const row = `row "${origin.recordId}" of "${origin.source}"`;
  if (chat === null)
    throw new InputError(`Cannot render ${row}: it holds messages, and the model has no chat template`);
  const { messages, tools } = content;
  const template = chooseTemplate(chat, tools !== null, options.template);
  const run = (rows: readonly Message[], shape: MessageShape) =>
    runTemplate(chat, template, rows, tools, shape, options);
  const { text, shape } = renderInSomeShape(messages, run, template, row);
  const pieces = piecesOf(messages);
  const located = locatePieces(text, pieces, messages, (marked) => run(marked, shape));
  return {
    text,
    ...cutChannels(text, located, messages, options.specialTokens),
    ...account(pieces, located, messages),
  };
}

function plainText(text: string): RenderedText {
  const counts = { ...zeroChannels(), text: text.length };
  const spans: ChannelSpan[] = text === '' ? [] : [{ start: 0, end: text.length, channel: 'text' }];
  const paragraphs = [...text.matchAll(/\n\s*\n/gu)].map((match) => match.index + match[0].length);
  return { text, spans, messageStarts: [0, ...paragraphs], raw: counts, rendered: counts, dropped: [] };
}

function runTemplate(
  chat: ChatTemplate,
  template: NamedTemplate,
  messages: readonly Message[],
  tools: readonly JsonObject[] | null,
  shape: MessageShape,
  options: RenderOptions,
): string {
  const variables = {
    ...chat.tokens,
    messages: messages.map((message) => toTemplateMessage(message, shape, template.vocabulary)),
    tools,
    documents: null,
    add_generation_prompt: false,
    ...options.templateArguments,
  };
  return template.program(variables, options.date ?? TEMPLATE_DATE);
}

function renderInSomeShape(
  messages: readonly Message[],
  run: (messages: readonly Message[], shape: MessageShape) => string,
  template: NamedTemplate,
  row: string,
): { text: string; shape: MessageShape } {
  const calls = messages.some((message) => (message.toolCalls?.length ?? 0) > 0);
  const absent = messages.some((message) => message.content === null);
  const shapes = MESSAGE_SHAPES.filter(
    (shape) => (calls || shape.arguments === 'object') && (absent || shape.absentContent === null),
  );
  let first: unknown;
  for (const shape of shapes) {
    try {
      const text = run(messages, shape);
      // The engine prints an object joined to a string as "[object Map]", where Python refuses: the template wants a string.
      if (calls && text.includes('[object Map]')) continue;
      return { text, shape };
    } catch (error) {
      first ??= error;
    }
  }
  const shape = shapes[0] ?? { arguments: 'object', absentContent: null };
  const index = firstRefused(messages, (prefix) => run(prefix, shape));
  const why = first === undefined ? 'it prints tool calls as no JSON' : messageOf(first);
  throw new InputError(
    `Cannot render ${row} with the chat template "${template.name}": ${why}, at message ${index} (${messages[index]?.role ?? 'none'})`,
    { cause: first },
  );
}

/** The message after the longest beginning that renders: the one the template stumbled on. */
function firstRefused(messages: readonly Message[], run: (messages: readonly Message[]) => string): number {
  for (let length = messages.length - 1; length > 0; length--) {
    try {
      run(messages.slice(0, length));
      return length;
    } catch {
      // Shorter, then.
    }
  }
  return 0;
}

/**
 * Pieces of this many characters that all stand in the text in their order stand where they were found: between two of
 * them there is only what the template itself prints. The template need not be run a second time for them.
 */
const UNMISTAKABLE = 24;

function locatePieces(
  text: string,
  pieces: readonly Piece[],
  messages: readonly Message[],
  run: (messages: readonly Message[]) => string,
): LocatedPiece[] {
  if (pieces.every(({ text: piece }) => piece.length >= UNMISTAKABLE)) {
    const located = locate(text, pieces);
    if (located.length === pieces.length) return located;
  }
  try {
    const found = unmark(run(markMessages(messages)), pieces);
    if (found.text === text) return found.located;
  } catch {
    // The template looks into contents and did not like the marks: search the text instead.
  }
  return locate(text, pieces);
}

function account(pieces: readonly Piece[], located: readonly LocatedPiece[], messages: readonly Message[]) {
  const raw = zeroChannels();
  const rendered = zeroChannels();
  for (const piece of pieces) raw[piece.channel] += piece.text.length;
  for (const piece of located) rendered[piece.channel] += piece.end - piece.start;
  const printed = new Set(located.map((piece) => piece.message));
  for (const [index, message] of messages.entries()) {
    const length = (message.toolCalls ?? []).reduce((sum, call) => sum + JSON.stringify(call.arguments).length, 0);
    raw[channelOf(message.role)] += length;
    if (printed.has(index)) rendered[channelOf(message.role)] += length;
  }
  const found = new Set(located.map(({ number }) => number));
  const dropped = pieces.filter(({ number }) => !found.has(number)).map(({ channel, text }) => ({ channel, text }));
  return { raw, rendered, dropped };
}
