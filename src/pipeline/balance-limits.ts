import type { Coverage } from '../coverage/coverage.js';
import { splitFloors } from '../coverage/floors.js';
import type { LayerShape } from '../coverage/from-counts.js';
import { InputError } from '../errors.js';
import type { Quotas } from '../mix/balance-state.js';
import type { QuotaReport } from '../mix/select.js';
import type { Sequence } from '../mix/sequence.js';
import type { BalanceRecipe, LayerWeight, MixRecipe } from '../recipe/recipe.js';
import { forLanguage } from '../text/language-tag.js';

/** Whether a drawn mix has what the recipe asks for, as far as another choice of rows could mend it. */
export function isKept(coverage: Coverage, balance: BalanceRecipe): boolean {
  if (coverage.summary.underFloor > 0) return false;
  const within = (quotas: Quotas, groups: Coverage['languages']): boolean =>
    Object.entries(quotas).every(([name, { least = 0, most = Infinity }]) => {
      const tokens = Object.hasOwn(groups, name) ? groups[name]!.tokens : 0;
      return least <= tokens && tokens <= most;
    });
  return within(leastAndMost(balance), coverage.languages) && within(balance.categories, coverage.categories);
}

/** A weight of 0, of a source or a language, says that nothing of it is wanted. */
export function isWanted({ source, language }: Sequence, { sources, languages }: MixRecipe): boolean {
  const weight = sources.find(({ name }) => name === source)?.weight ?? 1;
  return weight > 0 && forLanguage(languages, language, languages.get('default') ?? 1) > 0;
}

/** Quotas of languages, with the floors that languages have. */
export function leastAndMost({ languages, floors }: BalanceRecipe): Quotas {
  const own = splitFloors(floors).languages;
  const names = new Set([...Object.keys(languages), ...Object.keys(own)]);
  return Object.fromEntries(
    [...names].map((name) => {
      const quota = Object.hasOwn(languages, name) ? languages[name]! : {};
      return [name, { ...quota, least: Math.max(quota.least ?? 0, own[name] ?? 0) }];
    }),
  );
}

/** @throws InputError when the rows that must be in the mix exceed a quota by themselves */
export function checkRequiredFit(required: readonly Sequence[], { languages, categories }: BalanceRecipe): void {
  for (const [key, quotas] of Object.entries({ languages, categories })) {
    for (const [name, { most = Infinity }] of Object.entries(quotas)) {
      const own = required.filter(({ language, category }) => (key === 'languages' ? language : category) === name);
      const tokens = own.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
      if (tokens <= most) continue;
      throw new InputError(
        `balance the mix: balance.${key}.${name} allows ${most} tokens, the rows of balance.must_include take ${tokens}`,
      );
    }
  }
}

/** Worth of every cell, [cells]. */
export function cellWeights(layers: readonly LayerShape[], weights: readonly LayerWeight[]): number[] {
  return layers.flatMap(({ layer, experts }) => {
    const [narrowest] = weights
      .filter(({ from, to }) => from <= layer && layer <= to)
      .sort((a, b) => a.to - a.from - (b.to - b.from));
    const weight = narrowest?.weight ?? 1;
    return Array.from({ length: experts }, () => weight);
  });
}

/** What each language of each source was to give to the draw: the shares by which the rest of a budget is spent. */
export function fillShares(quotas: readonly QuotaReport[]): Record<string, number> {
  return Object.fromEntries(quotas.map((quota) => [groupOf(quota), quota.target]));
}

export function groupOf({ source, language }: Pick<Sequence, 'source' | 'language'>): string {
  return JSON.stringify([source, language]);
}
