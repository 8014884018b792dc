import type { CoverageSummary } from '../src/coverage/coverage.js';
import type { Evaluation } from '../src/evaluate/summary.js';
import { halfWidth, interval, mean } from './student.js';

/** One mix, quantized with and compared on held-out text. */
export interface Run {
  readonly method: string;
  readonly seed: number;
  readonly tokens: number;
  readonly coverage: CoverageSummary;
  readonly evaluation: Evaluation;
}

const REFERENCE = 'random';

/**
 * Markdown: a table of methods, and a table of languages with each method's KL and its difference to random selection,
 * seed by seed, so that what a seed's luck gives to both cancels out.
 */
export function compareMethods(runs: readonly Run[], nearest: Evaluation, floor: number): string {
  const methods = [...new Set(runs.map(({ method }) => method))];
  const of = (method: string): Run[] => runs.filter((run) => run.method === method);
  const languages = Object.keys(nearest.groups);
  const klOf = (method: string, language: string): number[] =>
    of(method).map(({ evaluation }) => evaluation.groups[language]!.kl * 1000);
  const difference = (method: string, language: string): number[] => {
    const reference = klOf(REFERENCE, language);
    return klOf(method, language).map((kl, i) => kl - reference[i]!);
  };
  const meanDifference = (method: string): number[] => {
    const reference = of(REFERENCE);
    return of(method).map(({ evaluation }, i) => (evaluation.mean.kl - reference[i]!.evaluation.mean.kl) * 1000);
  };
  const others = methods.filter((method) => method !== REFERENCE);
  const summary = [
    row(
      'selection',
      'tokens',
      `cells under ${floor}`,
      'least-fed cell',
      'sigma',
      'mean KL',
      `less ${REFERENCE}`,
      'languages worse than nearest',
    ),
    `|---|${'--:|'.repeat(7)}`,
    ...methods.map((method) => {
      const own = of(method);
      const worse = own.map(
        ({ evaluation }) => languages.filter((name) => evaluation.groups[name]!.kl > nearest.groups[name]!.kl).length,
      );
      return row(
        method,
        mean(own.map(({ tokens }) => tokens)).toFixed(0),
        interval(
          own.map(({ coverage }) => coverage.underFloor),
          1,
        ),
        mean(own.map(({ coverage }) => coverage.min)).toFixed(0),
        interval(
          own.map(({ coverage }) => coverage.sigma),
          4,
        ),
        interval(
          own.map(({ evaluation }) => evaluation.mean.kl * 1000),
          2,
        ),
        method === REFERENCE ? '' : interval(meanDifference(method), 2),
        `${mean(worse).toFixed(1)} of ${languages.length}`,
      );
    }),
    row('round to nearest', '', '', '', '', (nearest.mean.kl * 1000).toFixed(2), '', ''),
  ];
  const detail = [
    row('language', 'nearest', ...methods, ...others.map((method) => `${method} less ${REFERENCE}`)),
    `|---|${'--:|'.repeat(1 + methods.length + others.length)}`,
    ...languages.map((language) =>
      row(
        language,
        (nearest.groups[language]!.kl * 1000).toFixed(1),
        ...methods.map((method) => interval(klOf(method, language), 1)),
        ...others.map((method) => interval(difference(method, language), 1) + mark(difference(method, language))),
      ),
    ),
  ];
  const told = others.map((method) => {
    const signs = languages.map((language) => mark(difference(method, language)));
    return (
      `${method} against ${REFERENCE}: ${signs.filter((sign) => sign === BETTER).length} languages better, ` +
      `${signs.filter((sign) => sign === WORSE).length} worse, ${signs.filter((sign) => sign === '').length} not told apart.`
    );
  });
  return [...summary, '', ...told, '', ...detail].join('\n');
}

const [BETTER, WORSE] = [' ▼', ' ▲'];

/** Whether a difference is told apart from none at 95 %; of one seed, never. */
function mark(differences: readonly number[]): string {
  const half = halfWidth(differences);
  const average = mean(differences);
  if (half === null || Math.abs(average) <= half) return '';
  return average < 0 ? BETTER : WORSE;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}
