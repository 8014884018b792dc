export { CHANNELS, type Channel } from '../text/channel.js';

/** The token ids of one sample, or of one window of it, as the model is fed. */
export interface Sequence {
  readonly inputIds: Int32Array;
  /** Index into CHANNELS for every token; same length as `inputIds`. */
  readonly channels: Uint8Array;
  /** BCP 47 tag, or `und`. */
  readonly language: string;
  readonly category: string;
  readonly source: string;
  readonly revision: string | null;
  readonly license: string | null;
  readonly recordId: string;
  /** Position of this window within its sample, from 0. */
  readonly window: number;
}

/** A sample's identity: windows of one sample count as one sample in the audit. */
export function sampleKey(sequence: Sequence): string {
  return `${sequence.source}\u0000${sequence.recordId}`;
}

/** The chosen sequences, with what a reader needs to reproduce them. */
export interface Mix {
  readonly sequences: readonly Sequence[];
  /** null for a bare file of samples or input_ids. */
  readonly manifest: MixManifest | null;
}

/** `manifest.json` of a mix folder; schema `evenkeel.manifest/1`. Extended by the mix writer, never narrowed. */
export interface MixManifest {
  readonly schema: 'evenkeel.manifest/1';
  readonly version: string;
  readonly seed: number;
  readonly sequences: number;
  readonly tokens: number;
  readonly tokenizer: { readonly kind: string; readonly sha256: string };
  readonly chatTemplate: { readonly sha256: string } | null;
  readonly sources: readonly SourceReport[];
}

export interface SourceReport {
  readonly source: string;
  readonly revision: string | null;
  readonly license: string | null;
  readonly wanted: number | 'all' | null;
  /** Rows read, and rows kept into the mix. */
  readonly read: number;
  readonly kept: number;
  readonly tokens: number;
  /** Flaw → rows that have it and were kept. */
  readonly flaws?: Readonly<Record<string, number>>;
  /** Reason → rows dropped for it. */
  readonly dropped: Readonly<Record<string, number>>;
}
