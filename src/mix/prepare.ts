import { InputError } from '../errors.js';
import type { JsonObject, Sample } from '../data/sample.js';
import { alignTokens, type Alignment } from '../text/align.js';
import { channelIndex, CHANNELS, zeroChannels, type Channel } from '../text/channel.js';
import type { ChatTemplate } from '../text/chat-template.js';
import { canonicalLanguage } from '../text/language-tag.js';
import { render, type RenderedText } from '../text/render.js';
import { specialTokensPattern, type SpecialTokens } from '../text/spans.js';
import { checkIds, type Tokenizer } from '../text/tokenizer.js';
import type { Sequence } from './sequence.js';
import { cutWindows, overflowCost, type OverflowRule, type WindowOptions } from './windows.js';

/** What turns a sample into sequences; plain data but for the tokenizer and the template. */
export interface PrepareOptions {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | null;
  /** `vocab_size` of the model, where there is one: ids beyond it are refused. */
  readonly modelVocabularySize: number | null;
  readonly sequenceLength: number;
  readonly overflow: OverflowRule;
  readonly templateArguments?: JsonObject;
  readonly template?: string;
  readonly date?: string;
}

/** A sample as the model would be fed, with what its parts weigh at every stage. */
export interface PreparedSample {
  readonly sequences: readonly Sequence[];
  /** Tokens before windows. */
  readonly length: number;
  readonly text: string;
  readonly tokens: StageTokens;
  readonly overflowCost: Readonly<Record<OverflowRule, number>>;
}

/** Tokens per channel: of everything the sample says, of what the template printed, of what the windows kept. */
export interface StageTokens {
  readonly raw: Readonly<Record<Channel, number>>;
  readonly rendered: Readonly<Record<Channel, number>>;
  readonly kept: Readonly<Record<Channel, number>>;
}

export const NO_CATEGORY = 'uncategorized';

/** Samples to sequences: render, tokenize, attribute tokens to channels, cut windows. Pure, so workers may run it. */
export function createPreparer(options: PrepareOptions): (sample: Sample) => PreparedSample {
  const { tokenizer, chatTemplate } = options;
  const tokens = chatTemplate?.tokens ?? {};
  const bos = tokens['bos_token'] ?? null;
  const specialTokens = specialTokensPattern(tokenizer.specialTokens.keys(), tokens['eos_token'] ?? null, bos);
  const bosId = bos === null ? undefined : tokenizer.specialTokens.get(bos);
  return (sample) => {
    const { ids, alignment, text, dropped } = encode(sample, options, specialTokens);
    if (options.modelVocabularySize !== null) {
      checkIds(ids, options.modelVocabularySize, `row "${sample.origin.recordId}" of "${sample.origin.source}"`);
    }
    const repeated = bosId !== undefined && ids[0] === bosId ? bosId : null;
    const windowing: WindowOptions = { ...options, prefix: repeated === null ? 0 : 1 };
    const windows = cutWindows(ids.length, alignment.messageStarts, windowing);
    const sequences = windows.map(({ start, end }, window): Sequence => {
      const prefix = start > 0 && repeated !== null ? [repeated] : [];
      return {
        inputIds: Int32Array.from([...prefix, ...ids.subarray(start, end)]),
        channels: Uint8Array.from([
          ...prefix.map(() => channelIndex('system')),
          ...alignment.channels.subarray(start, end),
        ]),
        language: sample.language === null ? 'und' : canonicalLanguage(sample.language),
        category: sample.category ?? NO_CATEGORY,
        ...sample.origin,
        window,
      };
    });
    const rendered = countChannels(alignment.channels);
    const raw = { ...rendered };
    for (const piece of dropped) raw[piece.channel] += tokenizer.encode(piece.text).length;
    const kept = zeroChannels();
    for (const { start, end } of windows) addChannels(kept, alignment.channels.subarray(start, end));
    return {
      sequences,
      length: ids.length,
      text,
      tokens: { raw, rendered, kept },
      overflowCost: overflowCost(ids.length, options.sequenceLength),
    };
  };
}

interface Encoded {
  readonly ids: Int32Array;
  readonly alignment: Alignment;
  readonly text: string;
  readonly dropped: RenderedText['dropped'];
}

function encode(sample: Sample, options: PrepareOptions, specialTokens: SpecialTokens): Encoded {
  if (sample.content.kind === 'tokens') {
    const ids = sample.content.inputIds;
    const channels = new Uint8Array(ids.length).fill(channelIndex('text'));
    return { ids, alignment: { channels, messageStarts: [] }, text: '', dropped: [] };
  }
  const { tokenizer, chatTemplate } = options;
  const { text, spans, messageStarts, dropped } = render(sample, chatTemplate, { ...options, specialTokens });
  // Templates print their own beginning and end tokens; raw text gets what the tokenizer adds.
  const ids = tokenizer.encode(text, { addSpecialTokens: sample.content.kind === 'text' });
  return { ids, alignment: alignTokens(tokenizer, ids, text, spans, messageStarts), text, dropped };
}

function countChannels(channels: Uint8Array): Record<Channel, number> {
  const counts = zeroChannels();
  addChannels(counts, channels);
  return counts;
}

function addChannels(counts: Record<Channel, number>, channels: Uint8Array): void {
  for (const index of channels) {
    const channel = CHANNELS[index];
    if (channel === undefined)
      throw new InputError(`Cannot count channel ${index}: wanted 0 to ${CHANNELS.length - 1}`);
    counts[channel]++;
  }
}
