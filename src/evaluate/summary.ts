import { createRandom } from '../data/sampling.js';
import type { TokenDivergence } from './divergence.js';

/** `evaluation.json`, schema `evenkeel.evaluation/1`. */
export interface Evaluation {
  readonly schema: 'evenkeel.evaluation/1';
  readonly groups: Readonly<Record<string, GroupEvaluation>>;
  /** Over groups, each counting once: a language with little text is not drowned by one with much. */
  readonly mean: GroupEvaluation;
}

export interface GroupEvaluation {
  readonly sequences: number;
  readonly tokens: number;
  readonly perplexity: number;
  readonly quantizedPerplexity: number;
  /** Nats per token, every position of every sequence. */
  readonly kl: number;
  /** 95 % percentile bootstrap over sequences: tokens of one text are not independent. */
  readonly klCi95: readonly [low: number, high: number];
  readonly top1: number;
}

interface SequenceTotals {
  readonly tokens: number;
  readonly predicted: number;
  readonly kl: number;
  readonly surprise: number;
  readonly otherSurprise: number;
  readonly agrees: number;
}

const BOOTSTRAP_ROUNDS = 1000;

/**
 * Sums token divergences by sequence, then by group.
 *
 * @param offsets rows of each sequence, as in the pass
 * @param groups group of each sequence, usually its language
 */
export function summarize(divergence: TokenDivergence, offsets: Int32Array, groups: readonly string[]): Evaluation {
  const byGroup = new Map<string, SequenceTotals[]>();
  groups.forEach((group, i) => {
    const totals = sequenceTotals(divergence, offsets[i]!, offsets[i + 1]!);
    if (totals.tokens === 0) return;
    const members = byGroup.get(group);
    if (members === undefined) byGroup.set(group, [totals]);
    else members.push(totals);
  });
  const names = [...byGroup.keys()].sort();
  const evaluated = Object.fromEntries(names.map((name) => [name, evaluateGroup(byGroup.get(name)!)]));
  return {
    schema: 'evenkeel.evaluation/1',
    groups: evaluated,
    mean: meanOf(
      names.map((name) => byGroup.get(name)!),
      Object.values(evaluated),
    ),
  };
}

function sequenceTotals(
  { kl, surprise, otherSurprise, agrees }: TokenDivergence,
  from: number,
  to: number,
): SequenceTotals {
  const totals = {
    tokens: to - from,
    predicted: Math.max(0, to - from - 1),
    kl: 0,
    surprise: 0,
    otherSurprise: 0,
    agrees: 0,
  };
  for (let t = from; t < to; t++) {
    totals.kl += kl[t]!;
    totals.agrees += agrees[t]!;
    if (t === to - 1) continue;
    totals.surprise += surprise[t]!;
    totals.otherSurprise += otherSurprise[t]!;
  }
  return totals;
}

function evaluateGroup(members: readonly SequenceTotals[]): GroupEvaluation {
  const total = (key: keyof SequenceTotals): number => members.reduce((sum, member) => sum + member[key], 0);
  const tokens = total('tokens');
  return {
    sequences: members.length,
    tokens,
    perplexity: Math.exp(total('surprise') / total('predicted')),
    quantizedPerplexity: Math.exp(total('otherSurprise') / total('predicted')),
    kl: total('kl') / tokens,
    klCi95: bootstrap((pick) => {
      let [kl, count] = [0, 0];
      for (let i = 0; i < members.length; i++) {
        const { kl: own, tokens: size } = members[pick(members.length)]!;
        kl += own;
        count += size;
      }
      return kl / count;
    }),
    top1: total('agrees') / tokens,
  };
}

function meanOf(
  groups: readonly (readonly SequenceTotals[])[],
  evaluated: readonly GroupEvaluation[],
): GroupEvaluation {
  const mean = (key: 'kl' | 'top1'): number => evaluated.reduce((sum, group) => sum + group[key], 0) / evaluated.length;
  const geometric = (key: 'perplexity' | 'quantizedPerplexity'): number =>
    Math.exp(evaluated.reduce((sum, group) => sum + Math.log(group[key]), 0) / evaluated.length);
  return {
    sequences: evaluated.reduce((sum, { sequences }) => sum + sequences, 0),
    tokens: evaluated.reduce((sum, { tokens }) => sum + tokens, 0),
    perplexity: geometric('perplexity'),
    quantizedPerplexity: geometric('quantizedPerplexity'),
    kl: mean('kl'),
    klCi95: bootstrap((pick) => {
      let sum = 0;
      for (const members of groups) {
        let [kl, count] = [0, 0];
        for (let i = 0; i < members.length; i++) {
          const { kl: own, tokens } = members[pick(members.length)]!;
          kl += own;
          count += tokens;
        }
        sum += kl / count;
      }
      return sum / groups.length;
    }),
    top1: mean('top1'),
  };
}

/** The 2.5th and 97.5th percentile of a statistic over resamples, with a fixed generator: reports must reproduce. */
function bootstrap(statistic: (pick: (count: number) => number) => number): [low: number, high: number] {
  const random = createRandom(0, 'bootstrap');
  const values = Array.from({ length: BOOTSTRAP_ROUNDS }, () => statistic((count) => random.below(count))).sort(
    (a, b) => a - b,
  );
  return [values[Math.floor(0.025 * BOOTSTRAP_ROUNDS)]!, values[Math.floor(0.975 * BOOTSTRAP_ROUNDS)]!];
}
