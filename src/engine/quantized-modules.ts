import type { Targets } from '../awq/targets.js';
import type { Linear } from '../model/plan.js';

/** The modules among Linears that are quantized. */
export function quantizedModules(linears: readonly Linear[], targets: Targets): string[] {
  return linears.map(({ module }) => module).filter((module) => targets.quantized.has(module));
}
