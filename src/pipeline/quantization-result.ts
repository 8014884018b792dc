import type { QuantizeRecipe } from '../recipe/recipe.js';
import type { QuantizationResult } from '../report/report-data.js';
import type { QuantizeOutcome } from './quantize.js';

/** `evenkeel.json`: what became of every edge and cell, as reports read it. */
export function quantizationResult(
  { reports }: QuantizeOutcome,
  recipe: QuantizeRecipe,
  format: string,
): QuantizationResult {
  const { bits, symmetric, groupSize } = recipe.scheme;
  return {
    scheme: `W${bits}A16${symmetric ? '' : '_ASYM'}, ${groupSize === 'channel' ? 'by channel' : `group ${groupSize}`}`,
    format,
    edges: reports.flatMap(({ layer, edges }) =>
      edges.map(({ edge, ratio, lossBefore, loss }) => ({ name: `layer ${layer}: ${edge}`, ratio, lossBefore, loss })),
    ),
    cells: reports.flatMap(({ layer, experts }) =>
      experts.map(({ expert, tokens, ownShare, relativeErrors }) => ({
        layer,
        expert,
        tokens,
        shrinkageWeight: 1 - ownShare,
        relativeError: Math.sqrt(
          relativeErrors.reduce((sum, error) => sum + error ** 2, 0) / Math.max(1, relativeErrors.length),
        ),
      })),
    ),
    languageErrors: languageErrors(reports),
  };
}

function languageErrors(reports: QuantizeOutcome['reports']): QuantizationResult['languageErrors'] {
  const languages = [...new Set(reports.flatMap(({ languageErrors: errors }) => Object.keys(errors)))].sort();
  if (languages.length === 0) return null;
  return {
    languages,
    layers: reports.map(({ layer }) => layer),
    relativeError: languages.map((language) => reports.map(({ languageErrors: errors }) => errors[language] ?? 0)),
  };
}
