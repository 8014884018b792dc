import { InputError } from '../errors.js';
import type { JsonObject, Sample } from '../data/sample.js';
import { alignTokens, type Alignment } from '../text/align.js';
import { channelIndex, CHANNELS, zeroChannels, type Channel } from '../text/channel.js';
import type { ChatTemplate } from '../text/chat-template.js';
import { canonicalLanguage } from '../text/language-tag.js';
import { render, type RenderedText } from '../text/render.js';
import { PLAIN_MARKS, PLAIN_TEMPLATE_NAME } from '../text/plain-template.js';
import { identifySample, type SampleLanguage } from '../text/sample-language.js';
import { specialTokensPattern, type SpecialTokens } from '../text/spans.js';
import { checkIds, type Tokenizer } from '../text/tokenizer.js';
import { fingerprintOf, inspectSample, NO_CLEANING, type CleanOptions, type Finding } from './clean.js';
import type { ContaminationLists } from './contamination.js';
import type { Fingerprint } from './duplicates.js';
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
  readonly templateArguments?: JsonObject | undefined;
  readonly template?: string | undefined;
  readonly date?: string | undefined;
  /** Nothing is looked for when absent. */
  readonly clean?: CleanOptions | undefined;
  readonly contamination?: ContaminationLists | null | undefined;
}

/** A sample as the model would be fed, with what its parts weigh at every stage. */
export interface PreparedSample {
  readonly sequences: readonly Sequence[];
  /** Tokens before windows. */
  readonly length: number;
  /** null for ready token ids. */
  readonly language: SampleLanguage | null;
  readonly findings: readonly Finding[];
  readonly fingerprint: Fingerprint | null;
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

/** Samples to sequences: identify, inspect, render, tokenize, attribute tokens to channels, cut windows. Pure, so workers
 * may run it. */
export function createPreparer(options: PrepareOptions): (sample: Sample) => PreparedSample {
  const { tokenizer, chatTemplate, clean = NO_CLEANING, contamination = null } = options;
  const tokens = chatTemplate?.tokens ?? {};
  const bos = tokens['bos_token'] ?? null;
  const marks = chatTemplate?.templates.has(PLAIN_TEMPLATE_NAME) === true ? PLAIN_MARKS : [];
  const parting = new Set([...tokenizer.specialTokens.keys(), ...marks]);
  const specialTokens = specialTokensPattern(parting, tokens['eos_token'] ?? null, bos);
  const bosId = bos === null ? undefined : tokenizer.specialTokens.get(bos);
  return (sample) => {
    const { ids, alignment, dropped } = encode(sample, options, specialTokens);
    if (options.modelVocabularySize !== null) checkVocabularyOf(sample, ids, options.modelVocabularySize);
    const identified = sample.content.kind === 'tokens' ? null : identifySample(sample);
    const language = identified?.language ?? (sample.language === null ? 'und' : canonicalLanguage(sample.language));
    const repeated = bosId !== undefined && ids[0] === bosId ? bosId : null;
    const windowing: WindowOptions = { ...options, prefix: repeated === null ? 0 : 1 };
    const windows = cutWindows(ids.length, alignment.messageStarts, windowing);
    const sequences = windows.map(({ start, end }, window): Sequence => {
      const prefix = start > 0 && repeated !== null ? [repeated] : [];
      const inputIds = new Int32Array(prefix.length + end - start);
      inputIds.set(prefix);
      inputIds.set(ids.subarray(start, end), prefix.length);
      const channels = new Uint8Array(inputIds.length).fill(channelIndex('system'), 0, prefix.length);
      channels.set(alignment.channels.subarray(start, end), prefix.length);
      return {
        inputIds,
        channels,
        language,
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
      language: identified,
      findings: inspectSample(sample, identified, clean, contamination),
      fingerprint: fingerprintOf(sample, clean),
      tokens: { raw, rendered, kept },
      overflowCost: overflowCost(ids.length, options.sequenceLength),
    };
  };
}

interface Encoded {
  readonly ids: Int32Array;
  readonly alignment: Alignment;
  readonly dropped: RenderedText['dropped'];
}

/** Of a blank row, of which many tokenizers would make a beginning token and a sequence. */
const NOTHING: Encoded = {
  ids: new Int32Array(0),
  alignment: { channels: new Uint8Array(0), messageStarts: [] },
  dropped: [],
};

function encode(sample: Sample, options: PrepareOptions, specialTokens: SpecialTokens): Encoded {
  if (sample.content.kind === 'tokens') {
    const ids = sample.content.inputIds;
    const channels = new Uint8Array(ids.length).fill(channelIndex('text'));
    return { ids, alignment: { channels, messageStarts: [] }, dropped: [] };
  }
  if (sample.content.kind === 'text' && sample.content.text.trim() === '') return NOTHING;
  const { tokenizer, chatTemplate } = options;
  const { text, spans, messageStarts, dropped } = render(sample, chatTemplate, { ...options, specialTokens });
  // Templates print their own beginning and end tokens; raw text gets what the tokenizer adds.
  const ids = tokenizer.encode(text, { addSpecialTokens: sample.content.kind === 'text' });
  return { ids, alignment: alignTokens(tokenizer, ids, text, spans, messageStarts), dropped };
}

/** A row with an id that the model does not have. */
class OutOfVocabularyError extends InputError {}

function checkVocabularyOf({ origin }: Sample, ids: Int32Array, size: number): void {
  try {
    checkIds(ids, size, `row "${origin.recordId}" of "${origin.source}"`);
  } catch (error) {
    throw error instanceof InputError ? new OutOfVocabularyError(error.message, { cause: error }) : error;
  }
}

function countChannels(channels: Uint8Array): Record<Channel, number> {
  const counts = zeroChannels();
  addChannels(counts, channels);
  return counts;
}

function addChannels(counts: Record<Channel, number>, channels: Uint8Array): void {
  const byIndex = new Uint32Array(CHANNELS.length);
  for (let at = 0; at < channels.length; at++) {
    const index = channels[at] ?? 0;
    byIndex[index] = (byIndex[index] ?? 0) + 1;
  }
  for (const [index, channel] of CHANNELS.entries()) counts[channel] += byIndex[index] ?? 0;
}

/** What became of one sample: bad input is an outcome, so that the caller may go on; anything else is a fault. */
export type Outcome =
  | { readonly kind: 'prepared'; readonly prepared: PreparedSample }
  | { readonly kind: 'refused'; readonly reason: 'template_error' | 'out_of_vocabulary'; readonly message: string };

export function attempt(prepare: (sample: Sample) => PreparedSample, sample: Sample): Outcome {
  try {
    return { kind: 'prepared', prepared: prepare(sample) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    const reason = error instanceof OutOfVocabularyError ? 'out_of_vocabulary' : 'template_error';
    return { kind: 'refused', reason, message: error.message };
  }
}
