import { describe, expect, it } from 'vitest';
import { chooseTargets } from '../../src/awq/targets.js';
import { openCheckpoint } from '../../src/checkpoint/open.js';
import { planModel } from '../../src/model/registry.js';
import { commonGroupSize, groupNotes, moduleKind } from '../../src/pipeline/group-notes.js';
import { limitsOf } from '../../src/pipeline/runtimes.js';
import { quantizeSettings } from '../../src/pipeline/settings.js';
import { defaultQuantize } from '../../src/recipe/quantize.js';
import type { QuantizeRecipe } from '../../src/recipe/recipe.js';
import { folder } from '../model/folders.js';

function planned(model: string, changes: Partial<QuantizeRecipe>) {
  const recipe = { ...defaultQuantize(), ...changes };
  const checkpoint = openCheckpoint(folder(model));
  try {
    const plan = planModel(checkpoint);
    const settings = quantizeSettings(recipe, checkpoint);
    const sizes = new Set([...chooseTargets(plan, settings).quantized.values()].map(({ groupSize }) => groupSize));
    return {
      sizes: new Set(sizes),
      notes: groupNotes(plan, recipe.scheme, settings),
      limits: () => limitsOf(openCheckpoint(folder(model)), plan, settings),
      common: commonGroupSize(plan, { ...settings, overrides: recipe.groups }),
    };
  } finally {
    checkpoint.close();
  }
}

describe('where 128 does not divide the inputs', () => {
  it('compressed-tensors falls back Linear by Linear, and says so', () => {
    const { sizes, notes } = planned('llama', {});
    expect(sizes).toEqual(new Set([64, 128]));
    expect(notes).toContain('2 × model.layers.*.mlp.gate_proj: group 64 instead of 128: 64 inputs');
    expect(notes.some((note) => note.includes('down_proj'))).toBe(false);
  });

  it('autoawq, which holds one size, takes the largest that serves all', () => {
    const { sizes, notes, limits } = planned('qwen3_moe', { format: 'autoawq' });
    expect(sizes).toEqual(new Set([32]));
    expect(notes).toEqual([
      'group 32 instead of 128 for every Linear: autoawq holds one size, and 128 does not divide all inputs',
    ]);
    expect(limits).not.toThrow();
  });

  it('a Linear that no group serves is named', () => {
    const { notes } = planned('llama4_text', {});
    expect(notes).toContain(
      '4 × model.layers.*.feed_forward.shared_expert.down_proj stay as they are: no group of 128, 64 or 32 divides its 48 inputs',
    );
  });

  it('nothing is said where all is as asked for', () => {
    expect(planned('qwen3_moe', { scheme: { bits: 4, symmetric: true, groupSize: 32 } }).notes).toEqual([]);
    expect(planned('qwen3_moe', { scheme: { bits: 8, symmetric: true, groupSize: 'channel' } }).sizes).toEqual(
      new Set(['channel']),
    );
  });

  it('a target that names nothing is told', () => {
    const scheme = { bits: 4, symmetric: true, groupSize: 32 } as const;
    const groups = [{ targets: ['re:.*moe.experts.*', 're:.*o_proj$'], scheme }];
    expect(planned('qwen3_moe', { scheme, groups }).notes).toEqual([
      "target 're:.*moe.experts.*' names no Linear of this model",
    ]);
  });

  it('two sizes that a recipe itself asks for are not made one', () => {
    const scheme = { bits: 4, symmetric: true, groupSize: 32 } as const;
    const { limits, common } = planned('llama', {
      format: 'autoawq',
      groups: [{ targets: ['re:.*down_proj$'], scheme }],
    });
    expect(common).toBe(128);
    expect(limits).toThrow(/one group size for the whole model/);
  });
});

describe('moduleKind()', () => {
  it('keeps digits that are part of a name', () => {
    expect(moduleKind('model.layers.3.block_sparse_moe.experts.12.w1')).toBe(
      'model.layers.*.block_sparse_moe.experts.*.w1',
    );
  });
});
