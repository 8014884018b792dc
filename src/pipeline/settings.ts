import { DEFAULT_ROUNDING, DEFAULT_SEARCH } from '../awq/settings.js';
import type { Checkpoint } from '../checkpoint/open.js';
import { scaleDtype } from '../engine/output-plan.js';
import type { QuantizeSettings } from '../engine/quantize-settings.js';
import { InputError } from '../errors.js';
import { planModel } from '../model/registry.js';
import type { QuantizeRecipe, SchemeRecipe } from '../recipe/recipe.js';
import { commonGroupSize } from './group-notes.js';

/**
 * The engine's settings for a recipe's `quantize`. AutoAWQ holds one group size for a whole model: the largest one that
 * serves every Linear, where other formats fall back layer by layer.
 */
export function quantizeSettings(recipe: QuantizeRecipe, checkpoint: Checkpoint, assume?: string): QuantizeSettings {
  if (checkpoint.quantization === 'compressed-tensors' || checkpoint.quantization === 'awq') {
    throw new InputError(
      `quantize '${checkpoint.directory}': it is quantized already (${checkpoint.quantization}); wanted the original weights`,
    );
  }
  if (recipe.format === 'autoawq' && recipe.scheme.bits !== 4) {
    throw new InputError(`quantize to format 'autoawq': wanted 4 bits, got ${recipe.scheme.bits}`);
  }
  return {
    scheme: recipe.format === 'autoawq' ? withCommonGroup(recipe, checkpoint, assume) : recipe.scheme,
    ignore: recipe.ignore,
    overrides: recipe.groups,
    format: recipe.format,
    shrinkage: shrinkage(recipe),
    mappings: recipe.mappings?.map(({ smoothLayer, balanceLayers }) => ({ smoothLayer, balanceLayers })) ?? null,
    search: { ...DEFAULT_SEARCH, grid: recipe.grid, duoScaling: recipe.duoScaling, signedScales: recipe.signedScales },
    followDrift: recipe.rounding === 'gptq' && recipe.followDrift,
    rounding: {
      ...DEFAULT_ROUNDING,
      rounding: recipe.rounding,
      clip: recipe.clip,
      signedScales: recipe.signedScales,
      refit: recipe.rounding === 'gptq',
      descentSweeps: recipe.rounding === 'gptq' ? recipe.sweeps : 0,
      damping: recipe.damping,
      columnOrder: recipe.columnOrder,
    },
    // Runtimes serve a bf16 model's AutoAWQ scales, which are stored as f16, as bf16: both formats get the same scales.
    scaleDtype: scaleDtype(checkpoint, 'compressed-tensors'),
  };
}

function withCommonGroup(
  { scheme, ignore, groups }: QuantizeRecipe,
  checkpoint: Checkpoint,
  assume?: string,
): SchemeRecipe {
  const plan = planModel(checkpoint, assume);
  return { ...scheme, groupSize: commonGroupSize(plan, { scheme, ignore, overrides: groups }) };
}

function shrinkage({ experts, shrinkage: kappa }: QuantizeRecipe): number {
  switch (experts) {
    case 'routed':
      return 0;
    case 'all':
      return Infinity;
    case 'shrink':
      return kappa;
  }
}
