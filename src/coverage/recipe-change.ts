import { type Document, isMap, isSeq, parseDocument, Document as YamlDocument, YAMLMap, YAMLSeq } from 'yaml';
import type { Coverage } from './coverage.js';
import type { FixAddition } from './fixes.js';

/** What of the mix's own recipe is known: a mix folder's manifest, or the recipe itself, tells. */
export interface RecipeFacts {
  /** Relative weights as the recipe has them; what it does not name weighs 1 (languages: `default`). */
  readonly sourceWeights: ReadonlyMap<string, number>;
  readonly languageWeights: ReadonlyMap<string, number>;
  /** How a recipe names a source of the pool: a file's source name is not its path. */
  readonly datasetOf: (source: string) => string;
}

/** How a recipe would have to change for the additions to be drawn. */
export interface RecipeChange {
  /** The new budget. */
  readonly tokens: number;
  readonly sources: readonly SourceChange[];
  readonly languages: Readonly<Record<string, number>>;
  readonly floor: number;
  readonly pool: number;
}

export interface SourceChange {
  readonly name: string;
  readonly dataset: string;
  readonly weight: number;
  readonly isNew: boolean;
  /** Tokens of it to add. */
  readonly tokens: number;
}

/** Budgets' worth of candidates for the next build to choose from, so that it finds the rows that these gaps need. */
const POOL = 8;

/** Weights by which a draw gives each source and language about what it gave before, and the additions besides. */
export function recipeChange(
  coverage: Coverage,
  additions: readonly FixAddition[],
  { sourceWeights, languageWeights, datasetOf }: RecipeFacts,
): RecipeChange {
  const fallback = languageWeights.get('default') ?? 1;
  const sources = weigh(
    coverage.sources,
    sumBy(additions, ({ source }) => source),
    (name) => sourceWeights.get(name) ?? 1,
  );
  const languages = weigh(
    coverage.languages,
    sumBy(additions, ({ language }) => language),
    (name) => languageWeights.get(name) ?? fallback,
  );
  return {
    tokens: coverage.tokens + additions.reduce((sum, { tokens }) => sum + tokens, 0),
    sources: sources.map(({ name, ...change }) => ({ name, dataset: datasetOf(name), ...change })),
    languages: Object.fromEntries(languages.map(({ name, weight }) => [name, weight])),
    floor: coverage.floor,
    pool: POOL,
  };
}

interface Weighed {
  readonly name: string;
  readonly weight: number;
  readonly isNew: boolean;
  readonly tokens: number;
}

function weigh(
  groups: Coverage['sources'],
  added: readonly (readonly [string, number])[],
  weightOf: (name: string) => number,
): Weighed[] {
  const present = Object.entries(groups).filter(([, { tokens }]) => tokens > 0);
  const tokens = present.reduce((sum, [, group]) => sum + group.tokens, 0);
  const perToken = present.reduce((sum, [name]) => sum + weightOf(name), 0) / Math.max(1, tokens);
  return added.map(([name, more]) => {
    const before = Object.hasOwn(groups, name) ? groups[name]!.tokens : 0;
    const weight = before === 0 ? more * perToken : (weightOf(name) * (before + more)) / before;
    return { name, weight: Math.max(0.01, Number(weight.toFixed(2))), isNew: before === 0, tokens: more };
  });
}

/** The change as YAML, to be merged into a recipe by hand. */
export function changeAsYaml({ tokens, sources, languages, floor, pool }: RecipeChange): string {
  const list = new YAMLSeq();
  for (const source of sources) list.add(sourceEntry(source));
  const document = new YamlDocument({
    mix: { tokens, sources: list, ...(Object.keys(languages).length === 0 ? {} : { languages }) },
    balance: { floor, pool },
  });
  document.commentBefore =
    ' Merge into the recipe: sources that are new are added to its own, all else takes the place of what is there.';
  return document.toString({ lineWidth: 0 });
}

function sourceEntry({ dataset, weight, isNew, tokens }: SourceChange): YAMLMap {
  const entry = new YAMLMap();
  entry.set('dataset', dataset);
  entry.set('weight', weight);
  entry.commentBefore = ` ${isNew ? 'new' : 'there already'}: about ${tokens} tokens more`;
  return entry;
}

/** The recipe with the change made, comments and all; null when its mix stands in another file. */
export function changeRecipe(text: string, change: RecipeChange): string | null {
  const document: Document = parseDocument(text);
  const sources = document.getIn(['mix', 'sources']);
  if (!isSeq(sources)) return null;
  document.setIn(['mix', 'tokens'], change.tokens);
  for (const source of change.sources) {
    const known = sources.items.find(
      (item) => isMap(item) && (item.get('name') ?? item.get('dataset')) === source.name,
    );
    if (isMap(known)) known.set('weight', source.weight);
    else sources.add(sourceEntry(source));
  }
  for (const [language, weight] of Object.entries(change.languages))
    document.setIn(['mix', 'languages', language], weight);
  document.setIn(['balance', 'floor'], change.floor);
  document.setIn(['balance', 'pool'], Math.max(change.pool, Number(document.getIn(['balance', 'pool']) ?? 0)));
  return document.toString({ lineWidth: 0 });
}

/** Tokens of the additions by a name, the most first. */
function sumBy(additions: readonly FixAddition[], name: (addition: FixAddition) => string): [string, number][] {
  const sums = new Map<string, number>();
  for (const addition of additions) sums.set(name(addition), (sums.get(name(addition)) ?? 0) + addition.tokens);
  return [...sums].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
}
