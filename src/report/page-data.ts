import { deflateRawSync } from 'node:zlib';
import { encodeVarints } from '../coverage/varint.js';
import type { ReportData } from './report-data.js';
import { cellMetrics, PARTS } from './cell-metrics.js';
import { DARK, LIGHT } from './palette.js';
import { languageName } from './text.js';

/**
 * The data behind the page's heat maps as JSON. The tables themselves travel as one block of LEB128 numbers, deflated and
 * in base64: 94 layers × 512 experts × 40 languages of exact counts stay within a few megabytes.
 */
export function pageData(data: ReportData): unknown {
  const { coverage, quantization } = data;
  const { layers, floor, languages } = coverage;
  const metrics = cellMetrics(data);
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
