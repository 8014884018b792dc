import { InputError } from '../errors.js';
import { forLanguage } from '../text/language-tag.js';
import type { Candidate, Stratum } from './candidates.js';
import type { Sequence } from './sequence.js';

export interface Quotas {
  /** Tokens in all; null takes everything. */
  readonly tokens: number | null;
  /** Relative weight of each source; 1 where it names none. */
  readonly sourceWeights: ReadonlyMap<string, number>;
  /** Relative weight of each language within a source; `default` for the others. */
  readonly languageWeights: ReadonlyMap<string, number>;
}

/** What a stratum was to give, and gave, in tokens. */
export interface QuotaReport extends Stratum {
  readonly target: number;
  readonly available: number;
  readonly taken: number;
}

export interface Selection {
  readonly sequences: readonly Sequence[];
  readonly quotas: readonly QuotaReport[];
}

interface Queue {
  readonly key: Stratum;
  readonly sequences: readonly Sequence[];
  readonly available: number;
  readonly weight: number;
  /** So many of the sequences, the first ones, are taken in any case. */
  readonly required: number;
  readonly tie: number;
  next: number;
  taken: number;
}

/**
 * Draws sequences to the budget: sources share it by weight, the languages of a source share its part by weight, and what
 * a stratum cannot fill goes to the others in proportion. Within a stratum every sample gives one window before any gives
 * a second, so that one long trajectory does not eat a quota. The budget is never exceeded.
 *
 * @throws InputError when the required samples alone exceed the budget
 */
export function selectSequences(
  strata: readonly { readonly key: Stratum; readonly candidates: readonly Candidate[] }[],
  quotas: Quotas,
): Selection {
  const weights = strataWeights(
    strata.map(({ key }) => key),
    quotas,
  );
  const queues = strata.map(({ key, candidates }, index): Queue => {
    const required = candidates.filter((candidate) => candidate.required).flatMap((candidate) => candidate.sequences);
    const sequences = [...required, ...interleaveWindows(candidates.filter((candidate) => !candidate.required))];
    const available = sequences.reduce((sum, sequence) => sum + sequence.inputIds.length, 0);
    return {
      key,
      sequences,
      available,
      weight: weights[index] ?? 0,
      required: required.length,
      tie: tieOf(candidates),
      next: 0,
      taken: 0,
    };
  });
  const budget = quotas.tokens ?? Number.POSITIVE_INFINITY;
  const targets = shareBudget(queues, budget);
  const chosen: Sequence[] = [];
  let left = budget;
  const take = (queue: Queue, limit: number) => {
    const sequence = queue.sequences[queue.next];
    if (sequence === undefined || sequence.inputIds.length > limit) return false;
    queue.next++;
    queue.taken += sequence.inputIds.length;
    left -= sequence.inputIds.length;
    chosen.push(sequence);
    return true;
  };
  for (const queue of queues) {
    while (queue.next < queue.required) {
      if (!take(queue, left)) throw new InputError(`Cannot include all rows asked for: they exceed ${budget} tokens`);
    }
  }
  for (const [index, queue] of queues.entries()) {
    while (take(queue, Math.min((targets[index] ?? 0) - queue.taken, left)));
  }
  // What whole sequences left over goes to whoever is furthest below its target and has one that still fits.
  for (let took = true; took;) {
    const needy = queues
      .filter((queue) => queue.weight > 0)
      .map((queue) => ({ queue, ...missingOf(queue, targets[queues.indexOf(queue)] ?? 0) }))
      // Where the budget has not a sequence for every stratum, all of them miss the whole of their targets alike.
      .sort((a, b) => b.share - a.share || b.tokens - a.tokens || a.queue.tie - b.queue.tie);
    took = needy.some(({ queue }) => take(queue, left));
  }
  return {
    sequences: chosen,
    quotas: queues.map((queue, index) => ({
      ...queue.key,
      target: Math.round(Math.min(targets[index] ?? 0, queue.available)),
      available: queue.available,
      taken: queue.taken,
    })),
  };
}

function missingOf(queue: Queue, target: number): { readonly share: number; readonly tokens: number } {
  const tokens = target - queue.taken;
  return { share: tokens / Math.max(1, target), tokens };
}

/** A number by the seed that orders strata which nothing else does: their names would always prefer the same languages. */
function tieOf(candidates: readonly Candidate[]): number {
  return ((candidates[0]?.draw ?? 0) * 65_536) % 1;
}

/** First a window of every sample in the order of the draw, then a second one, …; each sample's windows begin anywhere. */
function interleaveWindows(candidates: readonly Candidate[]): Sequence[] {
  const rounds: Sequence[][] = [];
  for (const { sequences, draw } of candidates) {
    // The draw's lower digits choose where the sample's windows start, so that not every trajectory gives its opening.
    const first = Math.floor(((draw * 65_536) % 1) * sequences.length);
    for (let round = 0; round < sequences.length; round++) {
      const sequence = sequences[(first + round) % sequences.length];
      if (sequence !== undefined) (rounds[round] ??= []).push(sequence);
    }
  }
  return rounds.flat();
}

/** What each stratum is to give of a budget, in tokens. */
export function shareTargets(
  strata: readonly { readonly key: Stratum; readonly available: number }[],
  budget: number,
  quotas: Omit<Quotas, 'tokens'>,
): number[] {
  const weights = strataWeights(
    strata.map(({ key }) => key),
    quotas,
  );
  return shareBudget(
    strata.map(({ available }, index) => ({ available, weight: weights[index] ?? 0 })),
    budget,
  );
}

/** Sources by their weights, the languages of each by theirs. */
function strataWeights(keys: readonly Stratum[], quotas: Omit<Quotas, 'tokens'>): number[] {
  const weightOf = (language: string) =>
    forLanguage(quotas.languageWeights, language, quotas.languageWeights.get('default') ?? 1);
  const sums = new Map<string, number>();
  for (const { source, language } of keys) sums.set(source, (sums.get(source) ?? 0) + weightOf(language));
  return keys.map(({ source, language }) => {
    const sum = sums.get(source) ?? 0;
    return sum === 0 ? 0 : ((quotas.sourceWeights.get(source) ?? 1) * weightOf(language)) / sum;
  });
}

/** Water-filling: shares by weight, capped by what there is, the rest shared again among those with more. */
function shareBudget(queues: readonly Pick<Queue, 'available' | 'weight'>[], budget: number): number[] {
  if (!Number.isFinite(budget)) return queues.map((queue) => (queue.weight > 0 ? queue.available : 0));
  const targets = queues.map(() => 0);
  const open = new Set(queues.keys());
  let left = budget;
  for (;;) {
    const weights = [...open].reduce((sum, index) => sum + (queues[index]?.weight ?? 0), 0);
    if (weights <= 0 || left <= 0) return targets;
    const full = [...open].filter(
      (index) => (queues[index]?.available ?? 0) <= (left * (queues[index]?.weight ?? 0)) / weights,
    );
    if (full.length === 0) {
      for (const index of open) targets[index] = (left * (queues[index]?.weight ?? 0)) / weights;
      return targets;
    }
    for (const index of full) {
      targets[index] = queues[index]?.available ?? 0;
      left -= targets[index];
      open.delete(index);
    }
  }
}
