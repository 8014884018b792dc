import { deflateRawSync } from 'node:zlib';
import { encodeVarints } from '../coverage/varint.js';
import type { ReportData } from './report-data.js';
import { DARK, LIGHT } from './palette.js';
import { languageName } from './text.js';

/** Fractions are sent as whole numbers of this many parts. */
const PARTS = 10_000;
const MASS_PARTS = 100;

/** What can be shown for every cell. `floor`: log scale with the floor marked; `log`; `share`: 0…1; `error`: from 0. */
interface Metric {
  readonly key: string;
  readonly label: string;
  readonly scale: 'floor' | 'log' | 'share' | 'error';
  /** Sent values are divided by this. */
  readonly parts: number;
  readonly values: readonly number[];
}

/**
 * The data behind the page's heat maps as JSON. The tables themselves travel as one block of LEB128 numbers, deflated and
 * in base64: 94 layers × 512 experts × 40 languages of exact counts stay within a few megabytes.
 */
export function pageData({ coverage, quantization }: ReportData): unknown {
  const { layers, floor, languages } = coverage;
  const cellIndex = new Map<string, number>();
  layers.forEach(({ layer, experts }) => {
    for (let e = 0; e < experts; e++) cellIndex.set(`${layer}:${e}`, cellIndex.size);
  });
  const metrics: Metric[] = [
    { key: 'routed', label: 'routed tokens', scale: 'floor', parts: 1, values: layers.flatMap(({ routed }) => routed) },
  ];
  if (coverage.imported === undefined) {
    metrics.push(
      {
        key: 'samples',
        label: 'distinct samples',
        scale: 'log',
        parts: 1,
        values: layers.flatMap(({ samples }) => samples),
      },
      {
        key: 'mass',
        label: 'gate mass',
        scale: 'log',
        parts: MASS_PARTS,
        values: layers.flatMap(({ gateMass }) => gateMass),
      },
    );
  }
  if (quantization !== undefined && quantization.cells.length > 0) {
    const [error, shrinkage] = [new Float64Array(cellIndex.size), new Float64Array(cellIndex.size)];
    for (const { layer, expert, relativeError, shrinkageWeight } of quantization.cells) {
      const cell = cellIndex.get(`${layer}:${expert}`);
      if (cell === undefined) continue;
      error[cell] = relativeError;
      shrinkage[cell] = shrinkageWeight;
    }
    metrics.push(
      {
        key: 'error',
        label: 'relative error after quantizing',
        scale: 'error',
        parts: PARTS,
        values: Array.from(error),
      },
      {
        key: 'shrinkage',
        label: 'statistics taken from the layer',
        scale: 'share',
        parts: PARTS,
        values: Array.from(shrinkage),
      },
    );
  }
  const named = Object.entries(languages).sort(([, a], [, b]) => b.tokens - a.tokens);
  const errors = quantization?.languageErrors ?? null;
  const tables = [
    ...metrics.map(({ values, parts }) => values.map((value) => Math.round(value * parts))),
    ...named.map(([, { routed }]) => routed.flat()),
    ...(errors === null ? [] : [errors.relativeError.flat().map((value) => Math.round(value * PARTS))]),
  ];
  return {
    floor,
    layers: layers.map(({ layer, experts }) => [layer, experts]),
    languages: named.map(([tag]) => [tag, languageName(tag)]),
    metrics: metrics.map(({ key, label, scale, parts }) => ({ key, label, scale, parts })),
    errors:
      errors === null
        ? null
        : { languages: errors.languages.map((tag) => [tag, languageName(tag)]), layers: errors.layers, parts: PARTS },
    palettes: { light: LIGHT, dark: DARK },
    lengths: tables.map(({ length }) => length),
    packed: deflateRawSync(encodeVarints(tables.flat().map(sendable)), { level: 9 }).toString('base64'),
  };
}

/** A value that was lost on the way becomes 0. */
function sendable(value: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(0, value), Number.MAX_SAFE_INTEGER) : 0;
}
