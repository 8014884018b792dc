import { matchesPattern } from '../checkpoint/module-patterns.js';
import { edgeNames } from '../model/edges.js';
import { layerLinears } from '../model/linears.js';
import type { LayerPlan, ModelPlan } from '../model/plan.js';
import { checkMappings } from '../recipe/mappings.js';
import type { MappingRecipe, RecipeNote } from '../recipe/recipe.js';

/**
 * Holds an imported recipe's mappings against a model.
 *
 * @returns mappings without effect: llm-compressor, too, leaves a mapping out where the output of the one Linear does not
 *   have the width of the other's input, as v → o under grouped queries
 * @throws InputError at a mapping that cannot be honoured
 */
export function mappingNotes(plan: ModelPlan, mappings: readonly MappingRecipe[]): readonly RecipeNote[] {
  const idle = mappings.filter((mapping) => plan.layers.every((layer) => !hasFittingPair(layer, mapping)));
  const edges = plan.layers.flatMap((layer) => layer.edges.map(edgeNames));
  const asked = mappings.filter((mapping) => !idle.includes(mapping));
  checkMappings(asked, edges);
  return idle.map(({ smoothLayer, balanceLayers, location }) => ({
    message: `the mapping of "${smoothLayer}" to ${balanceLayers.map((name) => `"${name}"`).join(', ')} is left out: their widths differ`,
    location,
  }));
}

/** False only where a mapping names Linears on both sides and no output of the one can be an input of the other. */
function hasFittingPair(layer: LayerPlan, { smoothLayer, balanceLayers }: MappingRecipe): boolean {
  const linears = layerLinears(layer);
  const sources = linears.filter(({ module }) => matchesPattern(smoothLayer, module));
  const readers = linears.filter(({ module }) => balanceLayers.some((pattern) => matchesPattern(pattern, module)));
  if (sources.length === 0 || readers.length === 0) return true;
  return sources.some(({ outFeatures }) => readers.some(({ inFeatures }) => inFeatures === outFeatures));
}
