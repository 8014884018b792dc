import { Document, YAMLMap, YAMLSeq } from 'yaml';
import type { Coverage } from './coverage.js';
import type { FixAddition } from './fixes.js';

/** Budgets' worth of candidates for the next build to choose from, so that it finds the rows that these gaps need. */
const POOL = 8;

/**
 * The additions as YAML to merge into a recipe: a larger budget, the sources to have, and the languages to weigh more.
 * Balanced selection then picks the very rows; empty when there is nothing to add.
 */
export function recipePatch(coverage: Coverage, additions: readonly FixAddition[]): string {
  if (additions.length === 0) return '';
  const added = additions.reduce((sum, { tokens }) => sum + tokens, 0);
  const bySource = sumBy(additions, ({ source }) => source);
  const byLanguage = sumBy(additions, ({ language }) => language);
  const sources = new YAMLSeq();
  for (const [source, tokens] of bySource) {
    const entry = new YAMLMap();
    entry.set('dataset', source);
    const state = tokensOf(coverage.sources, source) > 0 ? 'in the mix already' : 'new';
    entry.commentBefore = ` ${state}; about ${tokens} more tokens of it`;
    sources.add(entry);
  }
  const languages = new YAMLMap();
  for (const [language, tokens] of byLanguage) {
    const before = tokensOf(coverage.languages, language);
    if (before > 0) languages.set(language, Number(((before + tokens) / before).toFixed(2)));
  }
  const document = new Document({
    mix: { tokens: coverage.tokens + added, sources, ...(languages.items.length === 0 ? {} : { languages }) },
    balance: { floor: coverage.floor, pool: POOL },
  });
  document.commentBefore = ' Merge into the recipe. Language weights: times what they are now.';
  return document.toString({ lineWidth: 0 });
}

function tokensOf(groups: Coverage['sources'], name: string): number {
  return Object.hasOwn(groups, name) ? groups[name]!.tokens : 0;
}

/** Tokens of the additions by a name, the most first. */
function sumBy(additions: readonly FixAddition[], name: (addition: FixAddition) => string): [string, number][] {
  const sums = new Map<string, number>();
  for (const addition of additions) sums.set(name(addition), (sums.get(name(addition)) ?? 0) + addition.tokens);
  return [...sums].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}
