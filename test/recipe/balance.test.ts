import { describe, expect, it } from 'vitest';
import { parseRecipe } from '../../src/recipe/load.js';

function parse(balance: string) {
  const text = `model: /m
mix: {sources: [{dataset: 'builtin:languages'}, {dataset: 'org/chats', name: chats}]}
balance: ${balance}
output: ./out
`;
  return parseRecipe(text, '/recipes/a.yaml');
}

describe('the balance part of a recipe', () => {
  it('takes every option', async () => {
    const { balance } = await parse(
      '{floor: 128, floors: {Greek: 200, reasoning: 500, length: 64}, pool: 2, multiple: 3, layer_weights: {0-3: 2, 24: 0}, ' +
        'languages: {ell: {least: 10, most: 20}}, categories: {coding_agent: {most: 5}}, must_include: {chats: [a, 7]}, ' +
        'quality_gate: false, prefix: 128}',
    );
    expect(balance).toEqual({
      floor: 128,
      floors: { el: 200, reasoning: 500, length: 64 },
      pool: 2,
      multiple: 3,
      layerWeights: [
        { from: 24, to: 24, weight: 0 },
        { from: 0, to: 3, weight: 2 },
      ],
      languages: { el: { least: 10, most: 20 } },
      categories: { coding_agent: { most: 5 } },
      mustInclude: new Map([['chats', new Set(['a', '7'])]]),
      qualityGate: false,
      prefix: 128,
    });
  });

  it.each([
    ['{floors: {toool: 1}}', "/recipes/a.yaml:3:20: set a floor for 'toool'"],
    ['{languages: {klingonish: {least: 1}}}', '/recipes/a.yaml:3:23: Cannot use language "klingonish"'],
    ['{languages: {el: {least: 2, most: 1}}}', 'Cannot have at least 2 and at most 1 tokens of "el"'],
    [
      '{must_include: {chat: [a]}}',
      'Cannot include rows of "chat": wanted a source of the mix (builtin:languages, chats)',
    ],
    ['{layer_weights: {3-1: 2}}', 'Cannot use layers "3-1" in "balance.layer_weights": wanted a rising range'],
    ['{layer_weights: {first: 2}}', '/recipes/a.yaml:3:'],
    ['{multiple: 0.5}', 'balance.multiple'],
    ['{quality: false}', 'Unknown key "quality" in "balance"'],
  ])('refuses %s with its place', async (balance, message) => {
    await expect(parse(balance)).rejects.toThrow(message);
  });
});
