import { type Sequence, sampleKey } from '../mix/sequence.js';
import { groupBy, type Grouping } from './groups.js';
import { saturationBins, type SaturationBins } from './saturation.js';

/** All the ways in which a mix's sequences are counted apart. */
export interface MixGroups {
  readonly sequences: readonly Sequence[];
  /** Tokens of every sequence. */
  readonly lengths: Int32Array;
  readonly samples: Grouping;
  readonly languages: Grouping;
  readonly categories: Grouping;
  readonly sources: Grouping;
  readonly bins: SaturationBins;
  /** Group of every sequence, and number of groups, by the positions that `GROUPING` names. */
  readonly of: readonly Int32Array[];
  readonly sizes: readonly number[];
  /** Group of every sample, by the same positions. */
  readonly ofSample: readonly Int32Array[];
}

/** Positions in `MixGroups.of`, and in `LayerCounts.groups`. */
export const GROUPING = { languages: 0, categories: 1, sources: 2, bins: 3 } as const;

export function groupMix(sequences: readonly Sequence[]): MixGroups {
  const lengths = Int32Array.from(sequences, ({ inputIds }) => inputIds.length);
  const samples = groupBy(sequences, sampleKey);
  const languages = groupBy(sequences, ({ language }) => language);
  const categories = groupBy(sequences, ({ category }) => category);
  const sources = groupBy(sequences, ({ source }) => source);
  const bins = saturationBins(lengths);
  const of = [languages.of, categories.of, sources.of, bins.of];
  const ofSample = of.map((groups) => {
    const groupOf = new Int32Array(samples.names.length);
    samples.of.forEach((sample, sequence) => (groupOf[sample] = groups[sequence]!));
    return groupOf;
  });
  const sizes = [languages.names.length, categories.names.length, sources.names.length, bins.bins];
  return { sequences, lengths, samples, languages, categories, sources, bins, of, sizes, ofSample };
}
