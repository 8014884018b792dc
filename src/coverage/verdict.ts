import type { Coverage, CoverageFailure, GroupCoverage, LayerCoverage } from './coverage.js';

export interface Floors {
  readonly layers: readonly Pick<LayerCoverage, 'routed'>[];
  readonly languages: Readonly<Record<string, Pick<GroupCoverage, 'tokens'>>>;
  readonly floor: number;
  readonly floors: Readonly<Record<string, number>>;
}

/**
 * What keeps a mix from passing: cells under the floor, and languages with fewer tokens than their own floor. A dense
 * model has no cells, so the general floor then counts for every language of the mix without one of its own.
 */
export function findFailures({ layers, languages, floor, floors }: Floors): CoverageFailure[] {
  const failures: CoverageFailure[] = [];
  let cells = 0;
  for (const { routed } of layers) for (const count of routed) if (count < floor) cells++;
  if (cells > 0) failures.push({ kind: 'cells', cells, floor });
  const wanted = new Map(Object.entries(floors));
  if (layers.length === 0) {
    for (const language of Object.keys(languages)) if (!wanted.has(language)) wanted.set(language, floor);
  }
  for (const [language, least] of [...wanted].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const tokens = tokensOf(languages, language);
    if (tokens < least) failures.push({ kind: 'language', language, tokens, floor: least });
  }
  return failures;
}

/** One line of the table of languages, which needs no experts. */
export interface LanguageRow {
  readonly language: string;
  readonly samples: number;
  readonly tokens: number;
  /** Part of all tokens, 0…1. */
  readonly share: number;
  readonly floor: number | null;
  readonly underFloor: boolean;
}

/** Languages by falling tokens; those with a floor but no token are listed too. */
export function languageTable(coverage: Coverage): LanguageRow[] {
  const { languages, languageFloors, floor, layers, tokens } = coverage;
  const names = new Set([...Object.keys(languages), ...Object.keys(languageFloors)]);
  const floors = new Map(Object.entries(languageFloors));
  return [...names]
    .map((language) => {
      const least = floors.get(language) ?? (layers.length === 0 ? floor : null);
      const own = tokensOf(languages, language);
      return {
        language,
        samples: Object.hasOwn(languages, language) ? languages[language]!.samples : 0,
        tokens: own,
        share: tokens === 0 ? 0 : own / tokens,
        floor: least,
        underFloor: least !== null && own < least,
      };
    })
    .sort((a, b) => b.tokens - a.tokens || (a.language < b.language ? -1 : 1));
}

function tokensOf(languages: Floors['languages'], language: string): number {
  return Object.hasOwn(languages, language) ? languages[language]!.tokens : 0;
}
