import type { Coverage, FragileCells, LayerCoverage, WorstCell } from './coverage.js';

/** Cells listed in `worst`. */
const WORST_CELLS = 20;
/** Languages or sources named of a cell. */
const TOP_GROUPS = 3;

type Groups = Readonly<Record<string, { readonly routed: readonly (readonly number[])[] }>>;
type Layers = readonly Pick<LayerCoverage, 'layer' | 'routed' | 'samples'>[];

/** The least-fed cells; among equals the one with fewer samples, then by position. */
export function findWorst(layers: Layers, languages: Groups, sources: Groups, limit = WORST_CELLS): WorstCell[] {
  return layers
    .flatMap(({ layer, routed, samples }, l) =>
      routed.map((count, expert) => ({ l, layer, expert, routed: count, samples: samples[expert] ?? null })),
    )
    .sort((a, b) => a.routed - b.routed || (a.samples ?? 0) - (b.samples ?? 0) || a.l - b.l || a.expert - b.expert)
    .slice(0, limit)
    .map(({ l, ...cell }) => ({
      ...cell,
      topLanguages: topGroups(languages, l, cell.expert),
      topSources: topGroups(sources, l, cell.expert),
    }));
}

/** Names of the groups that feed a cell most. */
function topGroups(groups: Groups, layer: number, expert: number): string[] {
  return Object.entries(groups)
    .map(([name, { routed }]) => ({ name, tokens: routed[layer]![expert]! }))
    .filter(({ tokens }) => tokens > 0)
    .sort((a, b) => b.tokens - a.tokens || (a.name < b.name ? -1 : 1))
    .slice(0, TOP_GROUPS)
    .map(({ name }) => name);
}

export function countFragile(
  layers: Layers,
  languages: Coverage['languages'],
  sources: Coverage['sources'],
): FragileCells {
  const fedBy = (groups: Groups): number | null => {
    const tables = Object.values(groups);
    if (tables.length < 2) return null;
    let cells = 0;
    layers.forEach(({ routed }, l) => {
      for (let e = 0; e < routed.length; e++) {
        let feeders = 0;
        for (const table of tables) if (table.routed[l]![e]! > 0) feeders++;
        if (feeders === 1) cells++;
      }
    });
    return cells;
  };
  const counted = layers.every(({ routed, samples }) => samples.length === routed.length);
  const oneSample = layers.reduce((sum, { samples }) => sum + samples.filter((count) => count === 1).length, 0);
  return { oneSample: counted ? oneSample : null, oneSource: fedBy(sources), oneLanguage: fedBy(languages) };
}
