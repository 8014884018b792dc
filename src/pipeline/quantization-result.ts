import type { Scheme } from '../awq/scheme.js';
import type { Targets } from '../awq/targets.js';
import { describeScheme } from '../checkpoint/format.js';
import type { LayerReport } from '../engine/layer-report.js';
import type { QuantizeRecipe } from '../recipe/recipe.js';
import type { CellResult, EdgeResult, QuantizationResult } from '../report/report-data.js';
import type { QuantizeOutcome } from './quantize.js';

export const QUANTIZATION_SCHEMA = 'evenkeel.quantization/1';

/** `evenkeel.json`, which lies beside the weights of a checkpoint. */
export interface QuantizationDocument extends QuantizationResult {
  readonly schema: typeof QUANTIZATION_SCHEMA;
  /** How many Linears have which scheme. */
  readonly schemes: Readonly<Record<string, number>>;
  readonly cells: readonly CellDocument[];
  /** Experts that no token was routed to, and whether they were quantized by statistics of their layer. */
  readonly unrouted: readonly {
    readonly layer: number;
    readonly expert: number;
    readonly statistics: 'layer' | 'none';
  }[];
}

export interface CellDocument extends CellResult {
  /** Ratio of the edge from up to down; null where it was left alone. */
  readonly downRatio: number | null;
}

/** What became of every edge and cell, as reports read it. */
export function quantizationResult(
  { reports, targets }: Pick<QuantizeOutcome, 'reports' | 'targets'>,
  recipe: Pick<QuantizeRecipe, 'experts' | 'shrinkage'>,
  format: string,
): QuantizationDocument {
  const schemes = countSchemes(targets);
  const cells = reports.flatMap((report) => cellsOf(report, leansOnLayer(recipe)));
  return {
    schema: QUANTIZATION_SCHEMA,
    scheme: Object.keys(schemes).join('; '),
    schemes,
    format,
    edges: reports.flatMap(edgesOf),
    cells,
    unrouted: cells
      .filter(({ tokens }) => tokens === 0)
      .map(({ layer, expert, shrinkageWeight }) => ({
        layer,
        expert,
        statistics: shrinkageWeight > 0 ? ('layer' as const) : ('none' as const),
      })),
    languageErrors: languageErrors(reports),
  };
}

/** The edges that Linears of a layer share, and each expert's own from up to down, as far as they were searched. */
function edgesOf({ layer, edges, experts }: LayerReport): EdgeResult[] {
  return [
    ...edges.map(({ edge, ratio, lossBefore, loss }) => ({ name: `layer ${layer}: ${edge}`, ratio, lossBefore, loss })),
    ...experts
      .filter(({ downLossBefore }) => downLossBefore > 0)
      .map(({ expert, downRatio, downLossBefore, downLoss }) => ({
        name: `layer ${layer}, expert ${expert}: up → down`,
        ratio: downRatio,
        lossBefore: downLossBefore,
        loss: downLoss,
      })),
  ];
}

/** With κ = 0, an expert without tokens of its own has no statistics at all. */
function leansOnLayer({ experts, shrinkage }: Pick<QuantizeRecipe, 'experts' | 'shrinkage'>): boolean {
  return experts === 'all' || (experts === 'shrink' && shrinkage > 0);
}

function cellsOf({ layer, experts }: LayerReport, leans: boolean): CellDocument[] {
  return experts.map(({ expert, tokens, ownShare, downRatio, relativeErrors }) => ({
    layer,
    expert,
    tokens,
    shrinkageWeight: leans ? 1 - ownShare : 0,
    relativeError: Math.sqrt(
      relativeErrors.reduce((sum, error) => sum + error ** 2, 0) / Math.max(1, relativeErrors.length),
    ),
    downRatio,
  }));
}

/** The scheme of most Linears, which a model card speaks of. */
export function commonestScheme({ quantized }: Pick<Targets, 'quantized'>): Scheme | null {
  const [name] = Object.keys(countSchemes({ quantized }));
  return [...quantized.values()].find((scheme) => describeScheme(scheme) === name) ?? null;
}

/** Schemes by the number of their Linears, the commonest first. */
function countSchemes({ quantized }: Pick<Targets, 'quantized'>): Record<string, number> {
  const counts = new Map<string, number>();
  for (const scheme of quantized.values()) {
    const name = describeScheme(scheme);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].toSorted(([, a], [, b]) => b - a));
}

function languageErrors(reports: readonly LayerReport[]): QuantizationResult['languageErrors'] {
  const languages = [...new Set(reports.flatMap(({ languageErrors: errors }) => Object.keys(errors)))].sort();
  if (languages.length === 0) return null;
  return {
    languages,
    layers: reports.map(({ layer }) => layer),
    relativeError: languages.map((language) => reports.map(({ languageErrors: errors }) => errors[language] ?? 0)),
  };
}
