import { addCounts, type SparseCounts } from '../mix/balance-counts.js';
import { createGainTracker, type CellTarget } from '../mix/balance-gains.js';
import { giveBack } from '../mix/balance-give-back.js';
import { takeGreedily } from '../mix/balance-greedy.js';
import { seededRank } from '../mix/balance-order.js';
import { createSelectionState } from '../mix/balance-state.js';
import type { Sequence } from '../mix/sequence.js';
import { InputError } from '../errors.js';
import type { Coverage } from './coverage.js';
import type { CandidateKind, Feeder, FixAddition, FixCell, FixLanguage, FixList } from './fixes.js';
import { changeAsYaml, recipeChange, type RecipeFacts } from './recipe-change.js';

export type { FixList } from './fixes.js';

export interface FixOptions {
  readonly coverage: Coverage;
  readonly candidates: readonly Sequence[];
  /** The candidates' counts, from a pass through the same model with `perSequence`. */
  readonly counts: SparseCounts;
  /** Quality gate: candidates that it refuses are never suggested. */
  readonly accepts?: (index: number) => boolean;
  readonly recipe?: RecipeFacts;
  readonly seed?: number;
}

const UNKNOWN_RECIPE: RecipeFacts = {
  sourceWeights: new Map(),
  languageWeights: new Map(),
  datasetOf: (source) => source,
};

/** Feeders named of a cell. */
const FEEDERS = 5;

/** Looks for the additions that close the gaps of an audited mix. @throws InputError when the counts are of another model */
export function suggestFixes(options: FixOptions): FixList {
  const { coverage, counts, accepts = () => true, recipe = UNKNOWN_RECIPE, seed = 0 } = options;
  const { layers, floor } = coverage;
  const has = Float64Array.from(layers.flatMap(({ routed }) => routed));
  if (counts.cellCount !== has.length || counts.sequences !== options.candidates.length) {
    throw new InputError(
      `suggest additions: wanted counts of ${options.candidates.length} sequences over ${has.length} cells, got ` +
        `${counts.sequences} over ${counts.cellCount}`,
    );
  }
  const pool = options.candidates.flatMap((candidate, index) => (accepts(index) ? [{ candidate, index }] : []));
  const kinds = kindsOf(options.candidates, pool);
  const cells = findFeeders(coverage, has, pool, kinds, counts);
  const languages = coverage.failures.flatMap((failure) => {
    if (failure.kind !== 'language') return [];
    const { language, tokens } = failure;
    const own = pool.filter(({ candidate }) => candidate.language === language);
    const available = own.reduce((sum, { candidate }) => sum + candidate.inputIds.length, 0);
    return [{ language, missing: failure.floor - tokens, available }];
  });
  const additions = chooseAdditions({ ...options, has, languages, pool, kinds, seed });
  const change = additions.length === 0 ? null : recipeChange(coverage, additions, recipe);
  return {
    floor,
    cells,
    unfed: cells.filter(({ feeders }) => feeders.length === 0).length,
    languages,
    additions,
    tokens: additions.reduce((sum, addition) => sum + addition.tokens, 0),
    change,
    recipePatch: change === null ? '' : changeAsYaml(change),
    refused: options.candidates.length - pool.length,
  };
}

/** Candidates that passed the gate, and their places in the pool. */
type Pool = readonly { readonly candidate: Sequence; readonly index: number }[];

interface Kinds {
  readonly list: readonly CandidateKind[];
  /** Index into `list` of every candidate. */
  readonly of: Int32Array;
  /** Tokens of every kind. */
  readonly tokens: Float64Array;
}

function kindsOf(candidates: readonly Sequence[], pool: Pool): Kinds {
  const known = new Map<string, number>();
  const list: CandidateKind[] = [];
  const of = Int32Array.from(candidates, ({ source, language, category }) => {
    const key = JSON.stringify([source, language, category]);
    const kind = known.get(key);
    if (kind !== undefined) return kind;
    known.set(key, list.length);
    return list.push({ source, language, category }) - 1;
  });
  const tokens = new Float64Array(list.length);
  for (const { candidate, index } of pool) tokens[of[index]!]! += candidate.inputIds.length;
  return { list, of, tokens };
}

/** For every cell under the floor, the kinds of candidates that feed it. */
function findFeeders(
  { layers, floor }: Coverage,
  has: Float64Array,
  pool: Pool,
  kinds: Kinds,
  counts: SparseCounts,
): FixCell[] {
  const fed = new Map<number, Float64Array>();
  has.forEach((routed, cell) => {
    if (routed < floor) fed.set(cell, new Float64Array(kinds.list.length));
  });
  for (const { index: i } of pool) {
    for (let j = counts.offsets[i]!; j < counts.offsets[i + 1]!; j++) {
      const row = fed.get(counts.cells[j]!);
      if (row !== undefined) row[kinds.of[i]!]! += counts.counts[j]!;
    }
  }
  const places = layers.flatMap(({ layer, experts }) =>
    Array.from({ length: experts }, (_, expert) => ({ layer, expert })),
  );
  return [...fed]
    .map(([cell, row]): FixCell => {
      const missing = floor - has[cell]!;
      const feeders = kinds.list.map((kind, k): Feeder => {
        const available = row[k]!;
        const rate = available / Math.max(1, kinds.tokens[k]!);
        const tokensNeeded = available < missing ? null : Math.ceil(missing / rate);
        return { ...kind, perThousand: rate * 1000, available, tokensNeeded };
      });
      return {
        ...places[cell]!,
        routed: has[cell]!,
        missing,
        feeders: feeders
          .filter(({ available }) => available > 0)
          .sort((a, b) => b.perThousand - a.perThousand || b.available - a.available)
          .slice(0, FEEDERS),
      };
    })
    .sort((a, b) => a.routed - b.routed || a.layer - b.layer || a.expert - b.expert);
}

interface AdditionOptions extends FixOptions {
  readonly has: Float64Array;
  readonly languages: readonly FixLanguage[];
  readonly pool: Pool;
  readonly kinds: Kinds;
  readonly seed: number;
}

/** Languages first, then the sequences that bring the most missing tokens for their length. */
function chooseAdditions(options: AdditionOptions): FixAddition[] {
  const { coverage, has, languages, candidates, counts, pool, kinds, seed } = options;
  const { floor } = coverage;
  const target: CellTarget = { counts, target: floor, weights: new Float64Array(has.length).fill(1) };
  const lengths = Float64Array.from(candidates, ({ inputIds }) => Math.max(1, inputIds.length));
  const state = createSelectionState(
    candidates.map(({ language, category }, i) => ({ language, category, tokens: lengths[i]! })),
    {
      budget: Infinity,
      languages: Object.fromEntries(languages.map(({ language, missing }) => [language, { least: missing }])),
      categories: {},
    },
    createGainTracker(target, has.slice()),
  );
  const step = {
    state,
    pool: pool.map(({ index }) => index),
    costs: lengths,
    ranks: Float64Array.from(candidates, (_, i) => seededRank(seed, i)),
  };
  const order = takeGreedily({ ...step, mayTake: (i) => state.isWanted(i), evenWithoutGain: true });
  const greedy = takeGreedily({ ...step, mayTake: () => true });
  order.push(...giveBack({ counts, target: floor, costs: lengths }, state, greedy));

  const filled = has.slice();
  const additions = new Map<number, { sequences: number; tokens: number; cellsClosed: number }>();
  for (const index of order) {
    const kind = kinds.of[index]!;
    const addition = additions.get(kind) ?? { sequences: 0, tokens: 0, cellsClosed: 0 };
    additions.set(kind, addition);
    addition.sequences++;
    addition.tokens += candidates[index]!.inputIds.length;
    for (let j = counts.offsets[index]!; j < counts.offsets[index + 1]!; j++) {
      const before = filled[counts.cells[j]!]!;
      if (before < floor && before + counts.counts[j]! >= floor) addition.cellsClosed++;
    }
    addCounts(counts, filled, index);
  }
  return [...additions]
    .map(([kind, addition]) => ({ ...kinds.list[kind]!, ...addition }))
    .sort((a, b) => b.cellsClosed - a.cellsClosed || a.tokens - b.tokens);
}
