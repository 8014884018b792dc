import { InputError } from '../errors.js';
import { medianOf } from './balance-metrics.js';
import type { Coverage } from './coverage.js';

/** How much of an audit is the mix's nature, and how much the luck of its seed. */
export interface Stability {
  readonly runs: number;
  readonly cells: number;
  /** Cells under the floor in each run. */
  readonly underFloor: readonly number[];
  /** Cells under the floor in every run, and in some but not all: the latter pass or fail by luck. */
  readonly always: number;
  readonly sometimes: number;
  /** Median over cells of the coefficient of variation of routed tokens across runs. */
  readonly variation: number;
  /** Least share of tokens of the fullest run in any other: 1 when all runs are of one size. */
  readonly sizes: number;
}

/** Compares audits of the same recipe built with different seeds. @throws InputError when they are not of one model */
export function coverageStability(runs: readonly Coverage[]): Stability {
  const [first, ...others] = runs;
  if (first === undefined) throw new InputError('compare audits: wanted at least one, got none');
  const shapeOf = ({ layers }: Coverage): string => layers.map(({ layer, experts }) => `${layer}:${experts}`).join(' ');
  const stranger = others.find((run) => shapeOf(run) !== shapeOf(first));
  if (stranger !== undefined) {
    throw new InputError(
      `compare audits: '${stranger.model.path}' has other layers or experts than '${first.model.path}'`,
    );
  }
  const tables = runs.map(({ layers }) => layers.flatMap(({ routed }) => routed));
  const cells = tables[0]!.length;
  let [always, sometimes] = [0, 0];
  const variations = new Float64Array(cells);
  for (let cell = 0; cell < cells; cell++) {
    const values = tables.map((routed) => routed[cell]!);
    const under = values.filter((routed, run) => routed < runs[run]!.floor).length;
    if (under === runs.length) always++;
    else if (under > 0) sometimes++;
    variations[cell] = variationOf(values);
  }
  const tokens = runs.map((run) => run.tokens);
  return {
    runs: runs.length,
    cells,
    underFloor: runs.map(({ summary }) => summary.underFloor),
    always,
    sometimes,
    variation: medianOf(variations.sort()),
    sizes: Math.max(...tokens) === 0 ? 1 : Math.min(...tokens) / Math.max(...tokens),
  };
}

/** Sample standard deviation over the mean; 0 of a single value or of nothing but zeros. */
function variationOf(values: readonly number[]): number {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  if (mean === 0 || values.length < 2) return 0;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return Math.sqrt(squares / (values.length - 1)) / mean;
}
