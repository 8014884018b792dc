import type { Coverage } from './coverage.js';

export interface FeedingLanguage {
  readonly language: string;
  /** Routed tokens that reach cells under the floor, out of a thousand tokens of the language. */
  readonly perThousand: number;
}

/** The languages whose text reaches the cells under the floor most, per token: what to add more of. */
export function feedingLanguages({ layers, languages, floor }: Coverage): FeedingLanguage[] {
  return Object.entries(languages)
    .map(([language, { tokens, routed }]) => {
      let reached = 0;
      layers.forEach((layer, l) => {
        for (let e = 0; e < layer.experts; e++) if (layer.routed[e]! < floor) reached += routed[l]![e]!;
      });
      return { language, perThousand: tokens === 0 ? 0 : (reached * 1000) / tokens };
    })
    .filter(({ perThousand }) => perThousand > 0)
    .sort((a, b) => b.perThousand - a.perThousand || (a.language < b.language ? -1 : 1));
}
