import { buildFromRecipe } from '../../src/pipeline/mix.js';
import { loadRecipe } from '../../src/recipe/load.js';

/**
 * The token ids that both sides calibrate on: windows of exactly `length` tokens from our own recipe's sources, taken from
 * the languages in turn, so that neither side runs batches of uneven length.
 */
export async function calibrationIds(recipeFile: string, count: number, length: number): Promise<number[][]> {
  const recipe = await loadRecipe(recipeFile);
  if (recipe.model?.kind !== 'folder') throw new Error(`${recipeFile}: wanted a model folder`);
  const build = buildFromRecipe(
    { ...recipe.mix, tokens: null, sequenceLength: length },
    { model: recipe.model.path, pool: 1 },
  );
  let next = await build.next();
  while (next.done !== true) next = await build.next();
  const byLanguage = new Map<string, number[][]>();
  for (const { inputIds, language } of next.value.mix.sequences) {
    if (inputIds.length !== length) continue;
    const windows = byLanguage.get(language);
    if (windows === undefined) byLanguage.set(language, [[...inputIds]]);
    else windows.push([...inputIds]);
  }
  const chosen: number[][] = [];
  for (let turn = 0; chosen.length < count; turn++) {
    const before = chosen.length;
    for (const windows of byLanguage.values()) {
      const window = windows[turn];
      if (window !== undefined && chosen.length < count) chosen.push(window);
    }
    if (chosen.length === before)
      throw new Error(`${recipeFile}: wanted ${count} windows of ${length} tokens, got ${before}`);
  }
  return chosen;
}
