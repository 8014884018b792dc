import type { CleanOptions } from '../mix/clean.js';
import type { PreparePlan } from '../mix/prepare-plan.js';
import type { CleanRecipe, MixRecipe } from './recipe.js';

/** `mix.clean` as the build takes it; the contamination lists are loaded beside it. */
export function cleanOptions(recipe: CleanRecipe): CleanOptions {
  const { contamination, ...gates } = recipe;
  return { ...gates, contamination: contamination.lists.length === 0 ? 'off' : contamination.action };
}

/**
 * What preparing a recipe's samples needs, as plain data for worker threads.
 *
 * @param model the model's folder, null for a mix without one
 */
export function preparePlan(recipe: MixRecipe, model: string | null, modelVocabularySize: number | null): PreparePlan {
  const { lists, ngram } = recipe.clean.contamination;
  const tokenizer = recipe.tokenizer === null ? model : { encoding: recipe.tokenizer };
  if (tokenizer === null) throw new TypeError('a plan needs a model or an encoding');
  return {
    tokenizer,
    model,
    templateFile: recipe.chatTemplate,
    modelVocabularySize,
    sequenceLength: recipe.sequenceLength,
    overflow: recipe.overflow,
    templateArguments: recipe.templateArguments,
    template: recipe.template,
    date: recipe.templateDate,
    clean: cleanOptions(recipe.clean),
    contamination: lists.length === 0 ? null : { lists, ngram },
  };
}
