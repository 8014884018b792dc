import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { evenkeel, ROOT } from './run.js';

const folder = mkdtempSync(join(tmpdir(), 'evenkeel-dry-run-'));
const recipe = join(folder, 'recipe.yaml');
writeFileSync(
  recipe,
  `model: ${ROOT}test/conformance/qwen3_moe
mix:
  tokens: 4096
  sequence_length: 256
  sources:
    - dataset: builtin:multilingual-dialogues
output: ./out
`,
);

describe('evenkeel quantize --dry-run', () => {
  it('tells layers, sizes, time, memory and disk, and writes nothing', async () => {
    const outcome = await evenkeel(['quantize', recipe, '--dry-run', '--json']);
    expect(outcome.code, outcome.stderr).toBe(0);
    const estimate = JSON.parse(outcome.stdout);
    // 2 layers of q, k, v, o and 8 experts' gate, up and down.
    expect(estimate).toMatchObject({ layers: 2, tokens: 4096, quantizedLinears: 2 * (4 + 8 * 3), shortages: [] });
    expect(estimate.outputBytes).toBeLessThan(estimate.sourceBytes);
    expect(estimate.seconds).toBeGreaterThan(0);
    expect(estimate.diskBytes).toBeGreaterThan(estimate.outputBytes);
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it('takes more time and memory for more tokens, and less memory within a budget', async () => {
    const estimateOf = async (...more: string[]): Promise<{ peakMemoryBytes: number; diskBytes: number }> =>
      JSON.parse((await evenkeel(['quantize', recipe, '--dry-run', '--json', ...more])).stdout);
    const many = await estimateOf('--set', 'mix.tokens=200000');
    const within = await estimateOf('--set', 'mix.tokens=200000', '--memory', '0.55');
    expect(many.peakMemoryBytes).toBeGreaterThan(0.6 * 2 ** 30);
    expect(within.peakMemoryBytes).toBeLessThanOrEqual(0.55 * 2 ** 30);
    expect(within.diskBytes).toBeGreaterThan(many.diskBytes);
  });

  it('says that a run would not fit, and exits with 2', async () => {
    const outcome = await evenkeel(['quantize', recipe, '--dry-run', '--set', 'mix.tokens=4000000000']);
    expect(outcome.code).toBe(2);
    expect(outcome.stdout).toMatch(/It does not fit:\n {2}memory: wanted .* GiB, got .* GiB free/);
    expect(outcome.stderr).toMatch(/would not fit/);
  });

  it('refuses a budget that is none', async () => {
    const outcome = await evenkeel(['quantize', recipe, '--memory', '0']);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/wanted a number of GiB above zero/);
  });
});
