import { mkdirSync, mkdtempSync, realpathSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { loadRecipe } from '../../src/recipe/load.js';
import { evenkeel, MODEL } from './run.js';

// The recipe once said ./out wherever it lay, so that one in out/ wrote to out/out.
it('init names the output beside the others of the working folder, wherever in it the recipe lies', async () => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'evenkeel-init-')));
  mkdirSync(join(folder, 'work'));
  symlinkSync(MODEL, join(folder, 'work', 'Model'));
  const cwd = join(folder, 'work');
  for (const name of ['recipe.yaml', 'out/recipe.yaml', 'recipes/deep/recipe.yaml']) {
    const { code, stderr } = await evenkeel(['init', 'Model', '--output', name], { cwd });
    expect(code, stderr).toBe(0);
    const recipe = await loadRecipe(join(cwd, name));
    expect(recipe.output).toBe(join(cwd, 'out', 'model-w4a16'));
    expect(recipe.model).toEqual({ kind: 'folder', path: join(cwd, 'Model') });
  }
  await evenkeel(['init', 'Model', '--output', '../other/recipe.yaml'], { cwd });
  expect((await loadRecipe(join(folder, 'other', 'recipe.yaml'))).output).toBe(
    join(folder, 'other', 'out', 'model-w4a16'),
  );
});
