import type { Coverage } from '../coverage/coverage.js';
import type { CellResult, ReportData } from './report-data.js';

/** Fractions are sent as whole numbers of this many parts. */
export const PARTS = 10_000;
const MASS_PARTS = 100;

/** What can be shown for every cell. `floor`: log scale with the floor marked; `log`; `share`: 0…1; `error`: from 0. */
export interface CellMetric {
  readonly key: string;
  readonly label: string;
  readonly scale: 'floor' | 'log' | 'share' | 'error';
  /** Sent values are divided by this. */
  readonly parts: number;
  /** [cells], layer by layer. */
  readonly values: readonly number[];
}

/** What is known of every cell, routed tokens first; what nobody counted is left out. */
export function cellMetrics({ coverage, quantization }: ReportData): CellMetric[] {
  const { layers, estimate } = coverage;
  const count = (
    key: string,
    label: string,
    scale: 'floor' | 'log',
    values: readonly number[],
    parts = 1,
  ): CellMetric => ({
    key,
    label,
    scale,
    parts,
    values,
  });
  const cells = layers.reduce((sum, { experts }) => sum + experts, 0);
  const known = [
    count(
      'samples',
      'distinct samples',
      'log',
      layers.flatMap(({ samples }) => samples),
    ),
    count(
      'mass',
      'gate mass',
      'log',
      layers.flatMap(({ gateMass }) => gateMass),
      MASS_PARTS,
    ),
    count('low', 'routed tokens at least', 'floor', estimate?.low.flat() ?? []),
    count('high', 'routed tokens at most', 'floor', estimate?.high.flat() ?? []),
  ].filter(({ values }) => values.length === cells);
  return [
    count(
      'routed',
      'routed tokens',
      'floor',
      layers.flatMap(({ routed }) => routed),
    ),
    ...known,
    ...(quantization === undefined || quantization.cells.length === 0
      ? []
      : errorMetrics(coverage, quantization.cells)),
  ];
}

function errorMetrics({ layers }: Coverage, results: readonly CellResult[]): CellMetric[] {
  const cellIndex = new Map<string, number>();
  layers.forEach(({ layer, experts }) => {
    for (let e = 0; e < experts; e++) cellIndex.set(`${layer}:${e}`, cellIndex.size);
  });
  const [error, shrinkage] = [new Float64Array(cellIndex.size), new Float64Array(cellIndex.size)];
  for (const { layer, expert, relativeError, shrinkageWeight } of results) {
    const cell = cellIndex.get(`${layer}:${expert}`);
    if (cell === undefined) continue;
    error[cell] = relativeError;
    shrinkage[cell] = shrinkageWeight;
  }
  const part = { parts: PARTS } as const;
  return [
    { key: 'error', label: 'relative error after quantizing', scale: 'error', ...part, values: Array.from(error) },
    {
      key: 'shrinkage',
      label: 'statistics taken from the layer',
      scale: 'share',
      ...part,
      values: Array.from(shrinkage),
    },
  ];
}
