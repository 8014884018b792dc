import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evenkeel, ROOT } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-inspect-'));
const model = (name: string): string => `${ROOT}test/conformance/${name}`;

async function inspect(...args: string[]) {
  const { code, stdout, stderr } = await evenkeel(['inspect', ...args, '--json']);
  expect(code, stderr).toBe(0);
  const report: {
    quantized: { modules: string; count: number; scheme: string }[];
    kept: { modules: string; reason: string }[];
    notes: string[];
    runtimes: { runtime: string; severity: string; message: string }[];
  } = JSON.parse(stdout);
  return { ...report, stderr };
}

describe('evenkeel inspect says beforehand', () => {
  it('which groups are smaller than asked for, and which Linears none serves', async () => {
    const { quantized, notes } = await inspect(model('deepseek_v3'));
    expect(quantized).toContainEqual(
      expect.objectContaining({ modules: 'model.layers.*.self_attn.q_b_proj', scheme: 'W4A16, symmetric, group 32' }),
    );
    expect(notes).toContain('2 × model.layers.*.self_attn.q_b_proj: group 32 instead of 128: 32 inputs');
  });

  it('what 8 bits by channel come to', async () => {
    const { quantized, notes } = await inspect(model('llama4_text'), '--scheme', 'W8A16', '--group-size', 'channel');
    expect(new Set(quantized.map(({ scheme }) => scheme))).toEqual(new Set(['W8A16, symmetric, by channel']));
    expect(notes).toEqual([]);
  });

  it('what an ignore pattern leaves out, and what a runtime would make of the rest', async () => {
    const ignored = await inspect(
      model('deepseek_v3'),
      '--ignore',
      String.raw`re:.*self_attn\..*`,
      '--target',
      'sglang',
    );
    expect(ignored.kept.filter(({ reason }) => reason.startsWith('ignored by'))).toHaveLength(5);
    expect(ignored.runtimes.filter(({ severity }) => severity === 'refuse')).toEqual([]);
    const all = await inspect(model('deepseek_v3'), '--target', 'sglang');
    expect(all.runtimes.filter(({ severity }) => severity === 'refuse')).toHaveLength(1);
  });

  it('what a recipe asks for, in the formats of other tools too', async () => {
    const recipe = join(folder, 'recipe.yaml');
    const source = `model: ${model('qwen3_moe')}\nmix: {sources: [{dataset: 'builtin:languages'}]}\noutput: ./out\n`;
    writeFileSync(recipe, `${source}quantize: ${ROOT}test/recipe/compressor/two-groups.yaml\n`);
    const { quantized } = await inspect(model('qwen3_moe'), '--recipe', recipe);
    expect(Object.fromEntries(quantized.map(({ modules, scheme }) => [modules.replace(/.*\*\./, ''), scheme]))).toEqual(
      {
        'self_attn.q_proj': 'W8A16, symmetric, by channel',
        'self_attn.k_proj': 'W8A16, symmetric, by channel',
        'self_attn.v_proj': 'W8A16, symmetric, by channel',
        'self_attn.o_proj': 'W8A16, symmetric, by channel',
        gate_proj: 'W4A16, symmetric, group 32',
        up_proj: 'W4A16, symmetric, group 32',
        down_proj: 'W4A16, symmetric, group 32',
      },
    );
    const both = await evenkeel(['inspect', model('qwen3_moe'), '--recipe', recipe, '--scheme', 'W8A16']);
    expect(both.code).toBe(2);
  });

  it.each([
    ['--group-size', 'row', 'wanted a number of inputs, or channel'],
    ['--ignore', 're:(', "'re:('"],
  ])('and refuses %s %s', async (option, value, message) => {
    const { code, stderr } = await evenkeel(['inspect', model('llama'), option, value]);
    expect(code).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/\n\s+at /);
  });
});
