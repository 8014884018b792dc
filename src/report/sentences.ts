import { medianOf } from '../coverage/balance-metrics.js';
import type { Coverage } from '../coverage/coverage.js';
import type { FixLanguage } from '../coverage/fixes.js';
import type { Stability } from '../coverage/stability.js';
import type { EdgeResult, EvaluationGroup, EvaluationResult } from './report-data.js';
import { count, figure, languageName, listing, milliNats, percent, plain, plural } from './text.js';

/** One line on how the cells filled up. */
export function saturationSentence({ saturation, summary, floor }: Coverage): string {
  const reached = `${count(summary.cells - summary.underFloor)} of ${count(summary.cells)} cells at the floor of ${count(floor)}`;
  if (saturation === null || saturation.moreTokens === 0) return `${reached}.`;
  if (saturation.moreTokens !== null) {
    return `${reached}; at this pace the last one needs about ${count(saturation.moreTokens)} more tokens of the same mix.`;
  }
  return `${reached}; ${plural(summary.empty, 'cell')} got nothing, and more of the same mix may never feed ${summary.empty === 1 ? 'it' : 'them'}.`;
}

/** The distribution over cells in figures. */
export function balanceSentence({ summary }: Coverage): string {
  const { min, p01, median, max, below, sigma, cv, gini, entropy } = summary;
  return (
    `Cells: min ${count(min)}, 1st percentile ${count(p01)}, median ${count(median)}, max ${count(max)}; ` +
    `under 16/64/256: ${count(below['16'])}/${count(below['64'])}/${count(below['256'])}; ` +
    `sigma ${figure(sigma)}, variation ${figure(cv)}, Gini ${figure(gini)}, entropy ${figure(entropy)}`
  );
}

/** What the mix hangs on; null when nobody counted that. */
export function fragileSentence({ fragile }: Coverage): string | null {
  const { oneSample, oneSource, oneLanguage } = fragile;
  const parts = [
    [oneSample, 'by a single sample'],
    [oneSource, 'by a single source'],
    [oneLanguage, 'by a single language'],
  ] as const;
  const known = parts.flatMap(([cells, by]) => (cells === null ? [] : [[cells, by] as const]));
  if (known.length === 0) return null;
  if (known.every(([cells]) => cells === 0))
    return `No cell hangs on a single ${listing(
      known.map(([, by]) => by.replace('by a single ', '')),
      'or',
    )}.`;
  const [[first, by], ...rest] = [known[0]!, ...known.slice(1)];
  return `Fragile: ${listing([`${plural(first, 'cell')} fed ${by}`, ...rest.map(([n, how]) => `${count(n)} ${how}`)])}.`;
}

/** What a pool has for a language under its floor. */
export function languageGapSentence({ language, missing, available }: FixLanguage): string {
  const pool = available === 0 ? 'the pool has none' : `the pool has ${count(available)}`;
  return `${languageName(plain(language))}: ${plural(missing, 'token')} missing, ${pool}.`;
}

/** What other seeds of the same recipe would have given. */
export function stabilitySentence({ runs, underFloor, always, sometimes, variation }: Stability): string {
  const [least, most] = [Math.min(...underFloor), Math.max(...underFloor)];
  const range = least === most ? count(most) : `${count(least)} to ${count(most)}`;
  return (
    `Over ${plural(runs, 'seed')}: ${range} cells under the floor, ${count(always)} of them always and ` +
    `${count(sometimes)} by the luck of the seed; the median cell varies by ${percent(variation)}.`
  );
}

/** What smoothing gained. Losses of different edges have no common unit, so their changes are averaged, not they. */
export function smoothingSentence(edges: readonly EdgeResult[]): string {
  const changes = edges.filter(({ loss, lossBefore }) => loss > 0 && lossBefore > 0);
  const mean = Math.exp(
    changes.reduce((sum, { loss, lossBefore }) => sum + Math.log(loss / lossBefore), 0) / Math.max(1, changes.length),
  );
  const identity = edges.filter(({ ratio }) => ratio === null).length;
  const left = identity === 0 ? '' : `, ${count(identity)} left as they were`;
  return `${plural(edges.length, 'smoothing edge')}${left}: loss changed by ${percent(mean - 1)} on average.`;
}

/** What an estimate rests on, and how far it can be trusted; null where all was run. */
export function estimateSentence({ estimate, layers, tokens }: Coverage): string | null {
  if (estimate === undefined) return null;
  const { prefix, pilot, tokensRun, confidence, low, high, open } = estimate;
  const errors = layers.flatMap(({ routed }, l) =>
    routed.map((value, e) => (high[l]![e]! - low[l]![e]!) / 2 / Math.max(1, value)),
  );
  const median = medianOf(errors.sort((a, b) => a - b));
  return (
    `Estimated from the first ${plural(prefix, 'token')} of every sequence and ${count(pilot)} whole ones, ` +
    `${percent(tokensRun / Math.max(1, tokens))} of the tokens: the median cell is known to ±${percent(median)} ` +
    `(${count(confidence * 100)}\u00a0% interval); ${plural(open, 'cell')} may be above or under the floor.`
  );
}

/** What was audited, in a line. */
export function subjectSentence({ tokens, sequences, samples, layers, imported }: Coverage): string {
  const [first] = layers;
  const top = first === undefined || first.topK === 0 ? '' : `, top ${first.topK}`;
  const shape =
    first === undefined ? 'no experts' : `${plural(layers.length, 'layer')} × ${plural(first.experts, 'expert')}${top}`;
  if (imported !== undefined) {
    const size = tokens === 0 ? 'an unknown number of tokens' : plural(tokens, 'token');
    return `Counted by ${IMPORTERS[imported.format]} over ${size}; ${shape}`;
  }
  return `${plural(tokens, 'token')} in ${plural(sequences, 'sequence')} of ${plural(samples, 'sample')}; ${shape}`;
}

const IMPORTERS = { imatrix: 'llama-imatrix', 'moe.html': 'Model-Optimizer' } as const;

/** The interval in thousandths of a nat; of a single text there is none. */
export function intervalText({ sequences, klCi95: [low, high] }: EvaluationGroup): string {
  return sequences < 2 ? '–' : `${milliNats(low)}–${milliNats(high)}`;
}

/** Mean divergence, against round-to-nearest where that was measured. */
export function evaluationSentence(evaluation: EvaluationResult, baseline?: EvaluationResult): string {
  const ours = `Mean divergence from the original model: ${milliNats(evaluation.mean.kl)} thousandths of a nat per token`;
  if (baseline === undefined) return `${ours}.`;
  const better = 1 - evaluation.mean.kl / baseline.mean.kl;
  const worse = Object.entries(evaluation.groups).filter(
    ([name, { kl }]) => Object.hasOwn(baseline.groups, name) && kl > baseline.groups[name]!.kl,
  );
  const loss =
    worse.length === 0 ? 'better in every language' : `worse in ${listing(worse.map(([name]) => plain(name)))}`;
  const compared = better >= 0 ? `${percent(better)} less than` : `${percent(-better)} more than`;
  return `${ours}, ${compared} rounding to nearest (${milliNats(baseline.mean.kl)}); ${loss}.`;
}
