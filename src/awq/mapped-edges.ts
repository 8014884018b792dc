import { edgeNames } from '../model/edges.js';
import type { ModelPlan } from '../model/plan.js';
import { asksFor, type Mapping } from '../recipe/mappings.js';

/** The plan with the smoothing edges that mappings ask for alone; null leaves all that the architecture declares. */
export function withMappedEdges(plan: ModelPlan, mappings: readonly Mapping[] | null): ModelPlan {
  if (mappings === null) return plan;
  const layers = plan.layers.map((layer) => ({
    ...layer,
    edges: layer.edges.filter((edge) => mappings.some((mapping) => asksFor(mapping, edgeNames(edge)))),
  }));
  return { ...plan, layers };
}
