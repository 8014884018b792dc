import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadRecipe, parseRecipe } from '../../src/recipe/load.js';

const minimal = `model: ./model
mix:
  sources:
    - dataset: builtin:multilingual-dialogues
output: ./out
`;

const file = '/recipes/a.yaml';

describe('parseRecipe()', () => {
  it('fills in every default and resolves paths against the recipe', async () => {
    const recipe = await parseRecipe(minimal, file);
    expect(recipe.model).toEqual({ kind: 'folder', path: '/recipes/model' });
    expect(recipe.output).toBe('/recipes/out');
    expect(recipe.balance).toMatchObject({ floor: 64, pool: 4, multiple: 1, qualityGate: true, prefix: null });
    expect(recipe.mix).toMatchObject({ seed: 42, overflow: 'window', tokens: null });
    expect(recipe.mix.sources[0]).toMatchObject({ kind: 'builtin', samples: 'all', weight: 1, format: 'auto' });
    expect(recipe.quantize).toMatchObject({
      scheme: { bits: 4, symmetric: true, groupSize: 128 },
      experts: 'shrink',
      shrinkage: 4096,
      grid: 20,
      rounding: 'gptq',
      ignore: ['lm_head'],
      format: 'compressed-tensors',
    });
  });

  it('names an unknown key, its place and the nearest key', async () => {
    const text = minimal.replace('  sources:', '  sequence_lenght: 512\n  sources:');
    await expect(parseRecipe(text, file)).rejects.toThrow(
      '/recipes/a.yaml:3:3: Unknown key "sequence_lenght" in "mix"; did you mean "sequence_length"?',
    );
  });

  it('names an unknown key of a list entry', async () => {
    const text = minimal.replace('output:', '      wieght: 3\noutput:');
    await expect(parseRecipe(text, file)).rejects.toThrow(
      '/recipes/a.yaml:5:7: Unknown key "wieght" in "mix.sources[0]"; did you mean "weight"?',
    );
  });

  it.each([
    ['quantize: {scheme: W4A61}', '/recipes/a.yaml:6:20: Cannot use "W4A61" for "quantize.scheme": wanted W4A16'],
    ['balance: {floor: many}', '/recipes/a.yaml:6:18: Cannot use "many" for "balance.floor"'],
    ['quantize: {experts: shrink, clip: 3}', '/recipes/a.yaml:6:35: Cannot use 3 for "quantize.clip"'],
    ['balance: {floor: many}', '"balance.floor": wanted a number'],
    ['quantize: {group_size: 100}', 'Cannot use 100 for "quantize.group_size": wanted 32 or 64 or 128 or channel'],
    ['balance: {floor: -1}', '/recipes/a.yaml:6:18: Cannot use -1 for "balance.floor": wanted at least 0'],
    [
      'evaluate: {sources: []}',
      '/recipes/a.yaml:6:21: Cannot use [] for "evaluate.sources": wanted at least one entry',
    ],
    [
      'evaluate: {sources: [{dataset: "builtin:langages"}]}',
      '/recipes/a.yaml:6:32: Cannot find the dataset "builtin:langages": did you mean "builtin:languages"?',
    ],
    [
      'evaluate: {sources: [{dataset: "builtin:../languages/../../secret"}]}',
      '"builtin:../languages/../../secret": the built-in sets are builtin:coding-agent, ',
    ],
    ['evenkeel: 2', '/recipes/a.yaml:6:11: Cannot use "2" for "evenkeel": wanted 1'],
    ['quantize: {grid: [}', '/recipes/a.yaml:6:19: Cannot parse the YAML'],
    ['model: again', '/recipes/a.yaml:6:1: Cannot parse the YAML: Map keys must be unique'],
    ['evenkeel: *nowhere', '/recipes/a.yaml:6:11: Cannot parse the YAML: no anchor "nowhere" before its alias'],
  ])('places the error of %j', async (line, message) => {
    await expect(parseRecipe(`${minimal}${line}\n`, file)).rejects.toThrow(message);
  });

  it('reports every problem at once, each with its line', async () => {
    const text = `${minimal}balance: {flor: 1}\nquantize: {gird: 2}\n`.replace('  sources:', '  sed: 1\n  sources:');
    await expect(parseRecipe(text, file)).rejects.toThrow('Unknown key "flor" in "balance"; did you mean "floor"?');
  });

  it('calls a document that is no mapping the recipe, and a chat template that is not there by its place', async () => {
    await expect(parseRecipe('- a\n', file)).rejects.toThrow('1:1: Cannot use ["a"] for the recipe: wanted keys');
    const text = minimal.replace('  sources:', '  chat_template: ./nope.jinja\n  sources:');
    await expect(parseRecipe(text, file)).rejects.toThrow(
      '/recipes/a.yaml:3:18: Cannot find the chat template "./nope.jinja": there is no such file',
    );
    await expect(loadRecipe('/recipes/nowhere.yaml')).rejects.toThrow(
      'Cannot read the recipe "/recipes/nowhere.yaml": there is no such file',
    );
  });

  it('places weights that leave nothing to draw, and contamination lists that are not there', async () => {
    await expect(
      parseRecipe(minimal.replace('multilingual-dialogues', 'multilingual-dialogues\n      weight: 0'), file),
    ).rejects.toThrow('/recipes/a.yaml:5:15: Cannot draw a mix: every source has weight 0');
    const text = minimal.replace('  sources:', '  clean: {contamination: {lists: [./nope.jsonl]}}\n  sources:');
    await expect(parseRecipe(text, file)).rejects.toThrow(
      '/recipes/a.yaml:3:35: Cannot find the contamination list "./nope.jsonl": there is no such file',
    );
  });

  it('measures nothing where evaluate is null', async () => {
    const text = `${minimal}evaluate: {sources: [{dataset: "builtin:languages"}]}\n`;
    expect((await parseRecipe(text, file)).evaluate).not.toBeNull();
    expect((await parseRecipe(text, file, ['evaluate=null'])).evaluate).toBeNull();
  });

  it('asks for what has no default', async () => {
    await expect(parseRecipe('model: a/b\noutput: o\nmix: {}\n', file)).rejects.toThrow(
      'Missing key "mix.sources": wanted a list',
    );
    await expect(parseRecipe(minimal.replace('model: ./model\n', ''), file)).rejects.toThrow('Missing key "model"');
    await expect(parseRecipe(minimal.replace('output: ./out\n', ''), file)).rejects.toThrow('Missing key "output"');
  });

  it('builds without a model when a tokenizer is named', async () => {
    const recipe = await parseRecipe(
      minimal.replace('model: ./model\n', '').replace('mix:', 'mix:\n  tokenizer: o200k_base'),
      file,
    );
    expect(recipe.model).toBeNull();
    expect(recipe.mix.tokenizer).toBe('o200k_base');
  });

  it('tells folders, Hub ids and revisions apart', async () => {
    const hub = await parseRecipe(minimal.replace('./model', 'Qwen/Qwen3-30B-A3B@abc123'), file);
    expect(hub.model).toEqual({ kind: 'hub', repository: 'Qwen/Qwen3-30B-A3B', revision: 'abc123' });
    const data = await parseRecipe(
      minimal.replace('builtin:multilingual-dialogues', 'org/set@v1\n      split: train'),
      file,
    );
    expect(data.mix.sources[0]).toMatchObject({ kind: 'hub', dataset: 'org/set', revision: 'v1', split: 'train' });
    await expect(parseRecipe(minimal.replace('builtin:multilingual-dialogues', './no.jsonl'), file)).rejects.toThrow(
      '/recipes/a.yaml:4:16: Cannot find the dataset "./no.jsonl"',
    );
  });

  it('gives two sources of one dataset two names', async () => {
    const text = minimal.replace('output:', '    - dataset: builtin:multilingual-dialogues\noutput:');
    const { mix } = await parseRecipe(text, file);
    expect(mix.sources.map(({ name }) => name)).toEqual([
      'builtin:multilingual-dialogues',
      'builtin:multilingual-dialogues#2',
    ]);
  });

  it('takes languages under any of their names and refuses what is none', async () => {
    const { mix } = await parseRecipe(
      minimal.replace('mix:', 'mix:\n  languages: {ell: 2, Estonian: 3, default: 1}'),
      file,
    );
    expect([...mix.languages]).toEqual([
      ['el', 2],
      ['et', 3],
      ['default', 1],
    ]);
    await expect(parseRecipe(minimal.replace('mix:', 'mix:\n  languages: {klingonese: 2}'), file)).rejects.toThrow(
      '/recipes/a.yaml:3:15: Cannot use language "klingonese"',
    );
  });

  it('puts assignments over the file, and blames them for their errors', async () => {
    const recipe = await parseRecipe(minimal, file, [
      'mix.tokens=1000',
      'mix.sources[0].weight=2.5',
      'quantize.clip=false',
      'model=x/y',
    ]);
    expect(recipe.mix.tokens).toBe(1000);
    expect(recipe.mix.sources[0]?.weight).toBe(2.5);
    expect(recipe.quantize.clip).toBe(false);
    await expect(parseRecipe(minimal, file, ['mix.tokens=lots'])).rejects.toThrow(
      '--set mix.tokens=lots: Cannot use "lots" for "mix.tokens"',
    );
    await expect(parseRecipe(minimal, file, ['mix.tokns=1'])).rejects.toThrow(
      '--set mix.tokns=1: Unknown key "tokns" in "mix"; did you mean "tokens"?',
    );
    await expect(parseRecipe(minimal, file, ['tokens'])).rejects.toThrow('wanted key.path=value');
  });
});

describe('loadRecipe()', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'evenkeel-recipe-'));
  });

  it('follows mix and quantize into other files, whose lines its errors name', async () => {
    await writeFile(
      join(folder, 'awq.yaml'),
      'quant_stage:\n  quant_modifiers:\n    AWQModifier:\n      scheme: W4A16\n      targets: [Linear]\n      n_gird: 3\n',
    );
    await writeFile(join(folder, 'r.yaml'), `${minimal}quantize: awq.yaml\n`);
    await expect(loadRecipe(join(folder, 'r.yaml'))).rejects.toThrow(
      `${join(folder, 'awq.yaml')}:6:7: Unknown key "n_gird" in "quant_stage.quant_modifiers.AWQModifier"; did you mean "n_grid"?`,
    );
  });

  it('says which file is missing', async () => {
    await expect(loadRecipe(join(folder, 'none.yaml'))).rejects.toThrow('Cannot read the recipe');
    await writeFile(join(folder, 's.yaml'), `${minimal}quantize: gone.yaml\n`);
    await expect(loadRecipe(join(folder, 's.yaml'))).rejects.toThrow(
      `${join(folder, 's.yaml')}:6:11: Cannot read "gone.yaml"`,
    );
  });
});
