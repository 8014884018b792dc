import { DEFAULT_ROUNDING, DEFAULT_SEARCH } from '../awq/settings.js';
import type { Checkpoint } from '../checkpoint/open.js';
import { scaleDtype } from '../engine/output-plan.js';
import type { QuantizeSettings } from '../engine/quantize-settings.js';
import { InputError } from '../errors.js';
import type { QuantizeRecipe } from '../recipe/recipe.js';

/** The engine's settings for a recipe's `quantize`. */
export function quantizeSettings(recipe: QuantizeRecipe, checkpoint: Checkpoint): QuantizeSettings {
  if (checkpoint.quantization === 'compressed-tensors' || checkpoint.quantization === 'awq') {
    throw new InputError(
      `quantize '${checkpoint.directory}': it is quantized already (${checkpoint.quantization}); wanted the original weights`,
    );
  }
  if (recipe.format === 'autoawq' && recipe.scheme.bits !== 4) {
    throw new InputError(`quantize to format 'autoawq': wanted 4 bits, got ${recipe.scheme.bits}`);
  }
  return {
    scheme: recipe.scheme,
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
    scaleDtype: scaleDtype(checkpoint, recipe.format),
  };
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
