import { hash } from 'node:crypto';
import type { Sample } from '../data/sample.js';
import type { SampleLanguage } from '../text/sample-language.js';
import type { ContaminationLists } from './contamination.js';
import { degenerate, wronglyDecoded } from './degenerate.js';
import type { Fingerprint } from './duplicates.js';
import { signatureOf } from './minhash.js';
import { sampleText, wholeText } from './sample-text.js';
import { findSecrets } from './secrets.js';

/** What is done about rows of one kind: left out, counted and kept, or not looked for. */
export type Gate = 'drop' | 'report' | 'off';

export interface CleanOptions {
  readonly exactDuplicates: Gate;
  readonly nearDuplicates: Gate;
  readonly nearDuplicateSimilarity: number;
  readonly degenerate: Gate;
  readonly replacementCharacters: Gate;
  readonly secrets: Gate;
  readonly contamination: Gate;
  /** Rows identified as another language than they declare. */
  readonly languages: Gate;
}

export const NO_CLEANING: CleanOptions = {
  exactDuplicates: 'off',
  nearDuplicates: 'off',
  nearDuplicateSimilarity: 1,
  degenerate: 'off',
  replacementCharacters: 'off',
  secrets: 'off',
  contamination: 'off',
  languages: 'off',
};

export type Flaw = 'degenerate' | 'replacement_characters' | 'secret' | 'contaminated' | 'language';

/** What is wrong with one row, each for itself; duplicates need the other rows and are found elsewhere. */
export interface Finding {
  readonly flaw: Flaw;
  readonly gate: 'drop' | 'report';
  readonly detail: string;
}

/** Looks at one sample; pure, so workers may. */
export function inspectSample(
  sample: Sample,
  language: SampleLanguage | null,
  options: CleanOptions,
  lists: ContaminationLists | null,
): Finding[] {
  if (sample.content.kind === 'tokens') return [];
  const findings: Finding[] = [];
  const look = (flaw: Flaw, gate: Gate, find: () => string | null) => {
    if (gate === 'off') return;
    const detail = find();
    if (detail !== null) findings.push({ flaw, gate, detail });
  };
  const text = sampleText(sample);
  look('degenerate', options.degenerate, () => degenerate(text));
  look('replacement_characters', options.replacementCharacters, () => wronglyDecoded(text));
  look('secret', options.secrets, () => findSecrets(wholeText(sample)).join(', ') || null);
  look('contaminated', options.contamination, () => {
    const found = lists?.find(text) ?? null;
    return found === null ? null : `${found.list}: "${found.ngram}"`;
  });
  look('language', options.languages, () => disagreement(language));
  look('language', options.languages === 'off' ? 'off' : 'report', () => unknownLabel(sample, language));
  // One message may be in another language for good reason: it is told, and no more.
  if (findings.at(-1)?.flaw !== 'language') {
    look('language', options.languages === 'off' ? 'off' : 'report', () => foreignMessages(language));
  }
  return findings;
}

/** Reasoning in another language is told by channel but is no flaw: many models reason in English whatever they speak. */
function disagreement(language: SampleLanguage | null): string | null {
  const spoken = language?.disagreeing.filter((channel) => channel !== 'reasoning') ?? [];
  if (language === null || spoken.length === 0) return null;
  const found = spoken.map((channel) => `${channel} ${language.channels[channel]?.language ?? 'und'}`);
  return `declared ${language.declared ?? 'und'}, identified ${found.join(', ')}`;
}

function unknownLabel({ language: label }: Sample, language: SampleLanguage | null): string | null {
  if (label === null || label.toLowerCase() === 'und' || language?.declared !== 'und') return null;
  return `declared "${label}", which names no language; identified ${language.language}`;
}

function foreignMessages(language: SampleLanguage | null): string | null {
  if (language === null || language.foreign.length === 0) return null;
  const found = language.foreign.map(({ message, language: tag }) => `message ${message} ${tag}`);
  return `${language.declared === null ? 'identified' : 'declared'} ${language.language}, but ${found.join(', ')}`;
}

const EXACT_BYTES = 6;

/** White space that is not a single space. */
const UNEVEN_SPACE = /[^\S ]\s*| \s+/gu;

/** What duplicates of a sample would share; null when both kinds are off. */
export function fingerprintOf(sample: Sample, options: CleanOptions): Fingerprint | null {
  if (options.exactDuplicates === 'off' && options.nearDuplicates === 'off') return null;
  if (sample.content.kind === 'tokens') {
    const { inputIds } = sample.content;
    const bytes = new Uint8Array(inputIds.buffer, inputIds.byteOffset, inputIds.byteLength);
    return { exact: shortHash(bytes), signature: null };
  }
  const text = sampleText(sample);
  return {
    exact: shortHash(text.normalize('NFC').replaceAll(UNEVEN_SPACE, ' ').trim()),
    signature: options.nearDuplicates === 'off' ? null : signatureOf(text),
  };
}

function shortHash(data: string | Uint8Array): number {
  return hash('sha256', data, 'buffer').readUIntBE(0, EXACT_BYTES);
}
