import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parseRecipe } from '../../src/recipe/load.js';
import type { QuantizeRecipe } from '../../src/recipe/recipe.js';

const FOLDER = fileURLToPath(new URL('./compressor/', import.meta.url));
const W4 = { bits: 4, symmetric: true, groupSize: 128 } as const;
const W8 = { ...W4, bits: 8 } as const;

/** Recipes in the shapes in which they are found beside checkpoints and in examples, and what they mean. */
const SHAPES: Readonly<Record<string, Partial<QuantizeRecipe>>> = {
  'saved-with-defaults.yaml': {
    scheme: { bits: 4, symmetric: false, groupSize: 32 },
    ignore: ['lm_head', 're:.*mlp.gate$'],
    clip: true,
    grid: 20,
    duoScaling: true,
    rounding: 'nearest',
  },
  'awq-asymmetric.yaml': { scheme: { ...W4, symmetric: false, groupSize: 64 }, duoScaling: 'both', mappings: null },
  'awq-old-style.yaml': { scheme: W4, duoScaling: false, grid: 8, rounding: 'nearest' },
  'flat-preset.yaml': { scheme: { ...W4, symmetric: false }, duoScaling: true, ignore: ['lm_head'] },
  'multimodal-mse.yaml': { scheme: { ...W4, groupSize: 32 }, clip: true, targets: ['Linear'] },
  'gptq-by-weight.yaml': {
    scheme: { ...W4, groupSize: 32 },
    rounding: 'gptq',
    damping: 0.001,
    columnOrder: 'diagonal',
    mappings: [],
  },
  'rounding-then-gptq.yaml': {
    scheme: { bits: 4, symmetric: false, groupSize: 'channel' },
    ignore: ['lm_head', 'model.layers.0.self_attn.o_proj'],
    rounding: 'gptq',
    columnOrder: 'stored',
  },
  'two-groups.yaml': {
    groups: [
      { targets: ['re:.*self_attn\\.(k|q|o|v)_proj$'], scheme: { ...W8, groupSize: 'channel' } },
      { targets: ['re:.*experts\\.\\d+\\.(gate|up|down)_proj$'], scheme: { ...W4, groupSize: 32 } },
    ],
  },
  'schemes-by-name.yaml': {
    scheme: W4,
    groups: [
      { targets: ['re:.*self_attn.*'], scheme: W8 },
      { targets: ['Linear'], scheme: W4 },
    ],
  },
  'recipe.json': { scheme: W4, clip: true, duoScaling: 'both', grid: 10, ignore: ['lm_head'] },
  'plain-rounding.yaml': { scheme: W8, mappings: [], rounding: 'nearest', clip: false },
  'parallel-block.yaml': { scheme: W4, clip: false },
  'two-stages.yaml': { scheme: W4, rounding: 'gptq', grid: 5, mappings: null },
  'latent-attention.yaml': { scheme: W4, grid: 4 },
};

test('every recipe of the folder is tried', () => {
  expect(Object.keys(SHAPES).toSorted()).toEqual(readdirSync(FOLDER).toSorted());
});

test.each(Object.entries(SHAPES))('%s', async (name, wanted) => {
  const text = `model: ./m\nmix: {sources: [{dataset: 'builtin:languages'}]}\nquantize: ./${name}\noutput: ./o\n`;
  const { quantize, notes } = await parseRecipe(text, `${FOLDER}recipe.yaml`);
  expect(quantize).toMatchObject(wanted);
  // Llm-compressor's own way of rounding, where its recipe does not ask for another.
  expect(quantize).toMatchObject({ signedScales: false, sweeps: 0, followDrift: false });
  const lines = readFileSync(FOLDER + name, 'utf8').split('\n');
  for (const { location } of notes) {
    expect(location.file).toBe(FOLDER + name);
    expect(lines[location.line! - 1]!.slice(location.column! - 1)).toMatch(/^["\w]/);
  }
});
