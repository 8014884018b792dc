import type { Coverage } from '../coverage/coverage.js';
import { coverageOfCounts } from '../coverage/from-counts.js';
import { joinCounts, longest, rowOf } from '../coverage/routing-cache.js';
import type { LaneOptions } from '../engine/lanes.js';
import { describeChoices, selectBalanced, type BalanceOptions, type Selection } from '../mix/balance.js';
import type { SparseCounts } from '../mix/balance-counts.js';
import { createQualityGate } from '../mix/balance-gate.js';
import { reportSelection, type BalanceReport } from '../mix/balance-report.js';
import type { BuiltMix } from '../mix/build.js';
import { isRequired } from '../mix/must-include.js';
import type { Sequence } from '../mix/sequence.js';
import type { BalanceRecipe, MixRecipe } from '../recipe/recipe.js';
import {
  cellWeights,
  checkRequiredFit,
  fillShares,
  groupOf,
  isKept,
  isWanted,
  leastAndMost,
} from './balance-limits.js';
import { countRouting, modelShape, type CountEvent, type ModelShape } from './routing-counts.js';

export interface BalanceMixOptions extends LaneOptions {
  readonly model: string;
  readonly mix: MixRecipe;
  readonly balance: BalanceRecipe;
  /** Folder of the routing cache, so that a second build with other quotas runs no model; null goes without. */
  readonly cache: string | null;
  readonly memory?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A pass over the drawn mix, over its pool, or over what was chosen by beginnings alone. */
export type BalanceEvent = {
  readonly kind: 'count';
  readonly what: 'mix' | 'pool' | 'choice';
  readonly event: CountEvent;
};

export interface BalancedMix {
  readonly mix: BuiltMix;
  /** Null when nothing was counted: there was nothing to choose from. */
  readonly coverage: Coverage | null;
  /** Null when the mix is as it was drawn. */
  readonly balance: BalanceReport | null;
}

/** Times that a choice by beginnings is mended with the whole counts of what was chosen. */
const ROUNDS = 3;

/**
 * Audits a mix and, when a cell, language or category is under what the recipe asks, chooses again from the pool that it
 * was drawn from, so that as many cells as the pool can feed reach the floor. A mix that holds is left as it is: it has the
 * recipe's own proportions.
 */
export async function* balanceMix(
  built: BuiltMix,
  options: BalanceMixOptions,
): AsyncGenerator<BalanceEvent, BalancedMix> {
  const { balance, mix, model } = options;
  if (balance.pool <= 1 || mix.tokens === null || built.pool.length <= built.sequences.length) {
    return { mix: built, coverage: null, balance: null };
  }
  const shape = modelShape(model, options.assume);
  if (shape.layers.length === 0) return { mix: built, coverage: null, balance: null };
  const isMust = ({ source, recordId }: Sequence): boolean => isRequired(balance.mustInclude, source, recordId);
  checkRequiredFit(built.pool.filter(isMust), balance);
  const drawn = yield* counted(built.sequences, 'mix', null, options);
  const coverage = describe(built.sequences, drawn, shape, options);
  if (isKept(coverage, balance)) return { mix: built, coverage, balance: null };

  const pool = built.pool.filter((sequence) => isWanted(sequence, mix) || isMust(sequence));
  const gate = balance.qualityGate ? createQualityGate(pool) : { accepts: () => true, looped: 0, copies: 0 };
  const counts = yield* counted(pool, 'pool', balance.prefix, options);
  const problem: BalanceOptions = {
    candidates: pool.map(({ inputIds, language, category }) => ({ tokens: inputIds.length, language, category })),
    counts,
    budget: mix.tokens,
    // A floor of 0 asks for nothing, but quotas may still have to be met.
    floor: Math.max(1, balance.floor),
    multiple: balance.multiple,
    cellWeights: cellWeights(shape.layers, balance.layerWeights),
    languages: leastAndMost(balance),
    categories: balance.categories,
    mustInclude: pool.flatMap((sequence, i) => (isMust(sequence) ? [i] : [])),
    fill: { ...fillShares(built.quotas), default: 0 },
    fillGroups: pool.map(groupOf),
    accepts: gate.accepts,
    seed: mix.seed,
  };
  const { selection, chosenCounts } = yield* choose(pool, problem, options);
  const sequences = selection.chosen.map(({ index }) => pool[index]!);
  return {
    mix: built.withSequences(sequences),
    coverage: describe(sequences, chosenCounts, shape, options),
    balance: reportSelection(selection, {
      pool,
      layers: shape.layers,
      floor: balance.floor,
      multiple: balance.multiple,
      looped: gate.looped,
      copies: gate.copies,
      prefix: balance.prefix,
    }),
  };
}

interface Choice {
  readonly selection: Selection;
  /** One row for every chosen sequence, in their order; never estimates. */
  readonly chosenCounts: SparseCounts;
}

/** Chooses; where only beginnings were run, runs what was chosen whole, and chooses again while that shows gaps. */
async function* choose(
  pool: readonly Sequence[],
  problem: BalanceOptions,
  options: BalanceMixOptions,
): AsyncGenerator<BalanceEvent, Choice> {
  const rows = pool.map((_, i) => rowOf(problem.counts, i));
  const { cellCount } = problem.counts;
  const most = longest(pool.map(({ inputIds }) => inputIds.length));
  let best: Choice | null = null;
  for (let round = 1; ; round++) {
    const known = { ...problem, counts: round === 1 ? problem.counts : joinCounts(rows, cellCount, most) };
    const selection = selectBalanced(known);
    const chosen = selection.chosen.map(({ index }) => index);
    if (options.balance.prefix === null) {
      const own = chosen.map((index) => rows[index]!);
      return { selection, chosenCounts: joinCounts(own, cellCount, most) };
    }
    const sequences = chosen.map((index) => pool[index]!);
    const whole = yield* counted(sequences, 'choice', null, options);
    chosen.forEach((index, i) => (rows[index] = rowOf(whole, i)));
    const exact = describeChoices({ ...known, counts: joinCounts(rows, cellCount, most) }, selection.chosen);
    if (best === null || exact.missing.length < best.selection.missing.length) {
      best = { selection: exact, chosenCounts: whole };
    }
    if (exact.missing.length === 0 || round === ROUNDS) return best;
  }
}

function describe(
  sequences: readonly Sequence[],
  counts: SparseCounts,
  { architecture, layers }: ModelShape,
  { model, balance: { floor, floors } }: BalanceMixOptions,
): Coverage {
  return coverageOfCounts({ model: { path: model, architecture }, sequences, counts, layers, floor, floors });
}

async function* counted(
  sequences: readonly Sequence[],
  what: BalanceEvent['what'],
  prefix: number | null,
  options: BalanceMixOptions,
): AsyncGenerator<BalanceEvent, SparseCounts> {
  const { model, cache, assume, lanes, threads, providers, memory, signal } = options;
  const count = countRouting({ model, sequences, prefix, cache, assume, lanes, threads, providers, memory, signal });
  for (;;) {
    const next = await count.next();
    if (next.done === true) return next.value;
    yield { kind: 'count', what, event: next.value };
  }
}
