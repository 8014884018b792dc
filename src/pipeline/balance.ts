import type { PassEvent } from '../engine/layer-pass.js';
import type { SparseCounts } from '../mix/balance-counts.js';
import type { LaneOptions } from '../engine/lanes.js';
import { selectBalanced, type Selection } from '../mix/balance.js';
import type { BuiltMix } from '../mix/build.js';
import type { BalanceRecipe, MixRecipe } from '../recipe/recipe.js';
import { auditSequences } from './audit.js';
import { countRouting } from './routing-counts.js';

export interface BalanceOptions extends LaneOptions {
  readonly model: string;
  readonly mix: MixRecipe;
  readonly balance: BalanceRecipe;
  /** Folder of the routing cache, so that a second build with other quotas runs no model; null goes without. */
  readonly cache: string | null;
  readonly signal?: AbortSignal | undefined;
}

export type BalanceEvent =
  | { readonly kind: 'audit'; readonly what: 'mix' | 'pool'; readonly tokens: number; readonly pass: PassEvent }
  | { readonly kind: 'balanced'; readonly selection: Selection };

/**
 * Audits a mix and, when a cell is under the floor, chooses again from the pool it was drawn from, so that as many cells
 * as the pool can feed reach it. A mix that holds is left as it is: it has the recipe's own proportions.
 */
export async function* balanceMix(built: BuiltMix, options: BalanceOptions): AsyncGenerator<BalanceEvent, BuiltMix> {
  const { balance, mix } = options;
  if (balance.pool <= 1 || mix.tokens === null || built.pool.length <= built.sequences.length) return built;
  const { coverage } = yield* audited(built.sequences, 'mix', options);
  if (coverage.layers.length === 0 || coverage.summary.underFloor === 0) return built;
  const counts = yield* poolCounts(built.pool, options);
  const selection = selectBalanced({
    candidates: built.pool.map(({ inputIds, language, category }) => ({ tokens: inputIds.length, language, category })),
    counts,
    budget: mix.tokens,
    floor: balance.floor,
    fill: { default: 1, ...Object.fromEntries(mix.languages) },
    seed: mix.seed,
  });
  yield { kind: 'balanced', selection };
  return built.withSequences(selection.chosen.map(({ index }) => built.pool[index]!));
}

async function* poolCounts(
  sequences: BuiltMix['pool'],
  options: BalanceOptions,
): AsyncGenerator<BalanceEvent, SparseCounts> {
  const { model, assume, lanes, providers, signal } = options;
  const tokens = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const count = countRouting({
    model,
    sequences,
    prefix: null,
    cache: options.cache,
    assume,
    lanes,
    providers,
    signal,
  });
  for (;;) {
    const next = await count.next();
    if (next.done === true) return next.value;
    yield { kind: 'audit', what: 'pool', tokens, pass: next.value };
  }
}

async function* audited(
  sequences: BuiltMix['sequences'],
  what: 'mix',
  { model, balance, assume, lanes, providers, signal }: BalanceOptions,
) {
  const tokens = sequences.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const audit = auditSequences({
    model,
    sequences,
    floor: balance.floor,
    assume,
    lanes,
    providers,
    signal,
  });
  for (;;) {
    const next = await audit.next();
    if (next.done === true) return next.value;
    yield { kind: 'audit', what, tokens, pass: next.value } satisfies BalanceEvent;
  }
}
